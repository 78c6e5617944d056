"""A line about the growing under the progress bar of each epoch."""

import keras
import numpy as np

from keras_growprune import backend
from keras_growprune.text import bars

# Together with the figures a line of 80 characters.
_MOST_BARS = 24


class GrowthLine:
    """Tells between epochs how a network looks, until it is settled.

    Such as `grown   ▃▅▆█▂·▇  cost 0.43 of 0.45  price 1.2e-06  units +12 -3`:
    the width of each group as a fraction of its full one (a dot: not in the
    network), the cost as a fraction of the full network's beside what the
    schedule allows, the worth per cost at which the last unit was bought or
    sold, and what came and left.

    Args:
        controller: The `GrowthController` of the model.
        shown: `True`, `False`, or `"auto"`: where `fit` shows a progress bar.

    Raises:
        ValueError: If `shown` is none of these.
    """

    def __init__(self, controller, shown="auto"):
        if not isinstance(shown, bool) and shown != "auto":
            raise ValueError(
                "Argument `growth_line` must be True, False or 'auto' (where "
                f"there is a progress bar). Received: growth_line={shown!r}"
            )
        self._controller, self._shown = controller, shown
        self._is_on, self._before = False, None

    def begin(self, verbose):
        """Called before the first epoch.

        Args:
            verbose: Of `fit`.
        """
        has_bar = verbose in ("auto", 1)
        has_bar = has_bar and keras.config.is_interactive_logging_enabled()
        is_on = has_bar if self._shown == "auto" else self._shown
        is_chief = backend.replicas_of(self._controller.model).is_chief
        self._is_on = is_on and is_chief and not self._controller.state.settled
        self._before = None

    def show(self):
        """Called at the beginning of an epoch, when its structure is there."""
        if not self._is_on:
            return
        network, state = self._controller.network, self._controller.state
        before, self._before = self._before, network.structure
        label = self._first_label() if before is None else self._label(before)
        self._is_on = not state.settled
        print(f"{label:<7} {self._text(before)}", flush=True)

    def _first_label(self):
        controller = self._controller
        if controller.state.settled:
            return "settled"
        is_seed = not controller.state.period and controller.is_seed()
        return "seed" if is_seed else "begins"

    def _label(self, before):
        if self._controller.state.settled:
            return "settled"
        blueprint = self._controller.blueprint
        old = blueprint.fractions(
            blueprint.map.widths(before.units), before.gates
        )["cost"]
        now = self._controller.network.fractions()["cost"]
        return "grown" if now > old else "pruned" if now < old else "kept"

    def _text(self, before):
        controller = self._controller
        network, state = controller.network, controller.state
        channel_map = controller.blueprint.map
        units, _ = channel_map.live(network.structure)
        widths = channel_map.widths(units) / channel_map.sizes
        target = controller.target()
        parts = [
            bars(widths, _MOST_BARS),
            f"cost {network.fractions()['cost']:.3f} of {target:.3f}",
        ]
        if state.price:
            parts.append(f"price {state.price:.1e}")
        if before is not None:
            parts += _changes("units", before.units, state.units)
            parts += _changes("layers", before.gates, state.gates)
        return "  ".join(parts)


def _changes(name, before, after):
    came = int(np.sum(after & ~before))
    left = int(np.sum(before & ~after))
    counts = [f"+{came}"] * bool(came) + [f"-{left}"] * bool(left)
    return [f"{name} {' '.join(counts)}"] if counts else []

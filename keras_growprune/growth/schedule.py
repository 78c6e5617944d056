"""What the network may cost at each moment of a run."""

import math
import numbers

# A run settles on what it has measured at so many changes of structure, if
# there are this many steps from one to the next.
_CHANGES, _STEPS = 9, 5


class GrowthSchedule:
    """Cost over the run: seed, up to a peak, back to the budget, then fixed.

    The cost rises in a straight line from `seed_fraction` to `peak` at the
    moment `peak_at`, and goes on in a straight line to the budget, which it
    reaches at `settle_at`. From then on the structure is fixed. Growing past
    the budget and pruning back is what makes the final structure better than
    growing to the budget alone.

    A peak below the budget is raised to it, so that with a large budget the
    network only grows.

    Args:
        seed_fraction: Float in (0, 1]. Cost of the seed network, as a fraction
            of the full network's. Defaults to 0.25.
        peak: Float in (0, 1]. Largest cost of the run, as a fraction of the
            full network's. At least `seed_fraction`. Defaults to 0.8.
        peak_at: Float in [0, 1]. When the peak is reached, as a fraction of
            the run. Defaults to 0.2.
        settle_at: Float in [0, 1]. When the structure is fixed, as a fraction
            of the run. At least `peak_at`. Defaults to 0.45.
        restructure_every: Epochs between restructurings: a positive integer,
            or a fraction like 0.5 or 0.1 (one over an integer), for runs of
            few long epochs. Defaults to `None`: 1, or so often that a short
            run has nine of them before the structure is fixed, with at
            least five steps from one to the next.
        seed_shape: `"narrow"` (default): the seed network has all layers,
            with few units each. `"shallow"`: it has its full widths as far as
            the seed's cost allows, and only as many of its gated residual
            branches.

    Raises:
        ValueError: If a fraction is out of its range, the moments are out of
            order, the seed is larger than the peak, or its shape is unknown.

    Example:

    ```python
    schedule = kgp.GrowthSchedule(seed_fraction=0.3, peak=0.7)
    schedule.target(epoch=0, epochs=100, budget=0.5)  # 0.3
    schedule.target(epoch=20, epochs=100, budget=0.5)  # 0.7
    schedule.target(epoch=45, epochs=100, budget=0.5)  # 0.5
    ```
    """

    def __init__(
        self,
        seed_fraction=0.25,
        peak=0.8,
        peak_at=0.2,
        settle_at=0.45,
        restructure_every=None,
        seed_shape="narrow",
    ):
        fractions = dict(seed_fraction=seed_fraction, peak=peak)
        moments = dict(peak_at=peak_at, settle_at=settle_at)
        for name, value in {**fractions, **moments}.items():
            is_zero = not isinstance(value, bool) and value == 0
            if not (_is_fraction(value) or name in moments and is_zero):
                bracket = "(0, 1]" if name in fractions else "[0, 1]"
                raise ValueError(
                    f"Argument `{name}` must be a number in {bracket}. "
                    f"Received: {name}={value!r}"
                )
        if settle_at < peak_at:
            raise ValueError(
                "The moments of a schedule must be in order: `peak_at` must "
                "not be later than `settle_at`. Received: "
                f"peak_at={peak_at}, settle_at={settle_at}"
            )
        if seed_fraction > peak:
            raise ValueError(
                "The seed network must not cost more than the peak. Received: "
                f"seed_fraction={seed_fraction}, peak={peak}. "
                "To prune only, set both to 1.0."
            )
        parts = 1
        if restructure_every is not None:
            parts = _parts_of_an_epoch(restructure_every)
        if seed_shape not in ("narrow", "shallow"):
            raise ValueError(
                "Argument `seed_shape` must be 'narrow' or 'shallow'. "
                f"Received: seed_shape={seed_shape!r}"
            )
        self.seed_fraction = float(seed_fraction)
        self.peak = float(peak)
        self.peak_at = float(peak_at)
        self.settle_at = float(settle_at)
        self.restructure_every = 1 / parts
        if parts == 1:
            whole = restructure_every is not None
            self.restructure_every = int(restructure_every) if whole else None
        self.seed_shape = seed_shape

    @classmethod
    def around(cls, budget, seed=0.5, peak=1.6, **arguments):
        """A schedule whose seed and peak follow the budget.

        So that a small network is cheap to train as well: a peak of 0.8
        would be five times a budget of 0.16. Budgets above a half have the
        seed and the peak of a half.

        Args:
            budget: The budget as a fraction of the full network's cost.
            seed: Float. Cost of the seed network, relative to the budget.
                Defaults to 0.5.
            peak: Float. Largest cost of the run, relative to the budget.
                Defaults to 1.6.
            **arguments: Of `GrowthSchedule`.

        Returns:
            A `GrowthSchedule`.

        Raises:
            ValueError: If the budget is no such fraction.

        Example:

        ```python
        schedule = kgp.GrowthSchedule.around(0.2)
        schedule.seed_fraction, schedule.peak  # 0.1, 0.32
        ```
        """
        if not _is_fraction(budget):
            raise ValueError(
                "Argument `budget` must be a number in (0, 1]. Received: "
                f"budget={budget!r}"
            )
        budget = min(budget, 0.5)
        return cls(seed_fraction=seed * budget, peak=peak * budget, **arguments)

    def parts_of_an_epoch(self, epochs, steps=None):
        """Into how many parts restructurings divide an epoch.

        Args:
            epochs: Length of the run in epochs.
            steps: Training steps of an epoch. Defaults to `None`: nobody
                knows.

        Returns:
            A positive integer.
        """
        if self.restructure_every is not None:
            return _parts_of_an_epoch(self.restructure_every)
        growing = self.settle_at * epochs
        if not growing or not steps:
            return 1
        return max(1, min(math.ceil(_CHANGES / growing), steps // _STEPS))

    def settle_epoch(self, epochs):
        """First epoch (from 0) that trains the final structure.

        Never later than the last epoch of the run, so that every finished run
        ends on its budget.

        Args:
            epochs: Length of the run in epochs; or in periods, here and in
                the other methods, where an epoch has several.

        Returns:
            An integer from 0 to `epochs - 1`.
        """
        # The small amount keeps 0.45 * 20 = 9.000000000000002 at 9.
        return max(
            0, min(math.ceil(self.settle_at * epochs - 1e-9), epochs - 1)
        )

    def restructures(self, epoch, epochs):
        """Whether the structure may change before an epoch.

        Args:
            epoch: Epoch, counted from 0.
            epochs: Length of the run in epochs.
        """
        settle = self.settle_epoch(epochs)
        if epoch >= settle:
            return epoch == settle
        return epoch > 0 and epoch % math.ceil(self.restructure_every or 1) == 0

    def target(self, epoch, epochs, budget):
        """Cost that the network may have in an epoch.

        Args:
            epoch: Epoch, counted from 0.
            epochs: Length of the run in epochs.
            budget: The budget as a fraction of the full network's cost.

        Returns:
            A fraction of the full network's cost.
        """
        peak = max(self.peak, budget)
        if epoch >= self.settle_epoch(epochs):
            return budget
        moment = epoch / epochs
        if moment < self.peak_at:
            way = moment / self.peak_at
            return self.seed_fraction + way * (peak - self.seed_fraction)
        if self.settle_at == self.peak_at:
            return budget
        way = (moment - self.peak_at) / (self.settle_at - self.peak_at)
        return peak + min(way, 1.0) * (budget - peak)

    def get_config(self):
        """Returns the constructor's arguments as a dict."""
        return {
            "seed_fraction": self.seed_fraction,
            "peak": self.peak,
            "peak_at": self.peak_at,
            "settle_at": self.settle_at,
            "restructure_every": self.restructure_every,
            "seed_shape": self.seed_shape,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the schedule that `get_config` described.

        Args:
            config: What it returned.
        """
        return cls(**config)

    def __repr__(self):
        arguments = ", ".join(
            f"{k}={v!r}" for k, v in self.get_config().items()
        )
        return f"GrowthSchedule({arguments})"


def _is_fraction(value):
    """Whether a value is a number in (0, 1]."""
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_real and 0 < value <= 1


def _parts_of_an_epoch(restructure_every):
    """Parts of an epoch between whose ends the structure stays as it is."""
    value = restructure_every
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        if value >= 1 and float(value).is_integer():
            return 1
        if 0 < value < 1:
            count = round(1 / value)
            if math.isclose(count * value, 1, rel_tol=0.02):
                return count
    raise ValueError(
        "Argument `restructure_every` must be a positive integer (epochs), or "
        "one over an integer (a part of an epoch), such as 0.5, 0.25 or 0.1. "
        f"Received: restructure_every={restructure_every!r}"
    )

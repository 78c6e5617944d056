"""All that a growing network remembers, in one place that can be saved."""

import copy
import json

import numpy as np

from keras_growprune.growth.saliency import average_by_halves


class GrowthState:
    """State of growing: what is in the network and what is known about it.

    Attributes:
        units: Boolean array `(units,)`, the units in the network.
        gates: Boolean array `(gates,)`, the gated layers in the network.
        saliency, gate_saliency: Measured worth, NaN where never measured.
        logits, gate_logits: Logits of the structure gates.
        ages, gate_ages: Periods that each has been in the network.
        scales, gate_scales: Factors left over from soft gates of a settled
            network, where no weight could take them in; else 1.
        price: Worth per cost at the margin (default rule), or the paper's
            lambda.
        period: Periods trained so far. A period is the time between two
            moments at which the structure may change: an epoch, or the part
            of an epoch that the schedule asks for.
        periods: Length of the run in periods, 0 before the first `fit`.
        parts: Periods of an epoch.
        steps: Training steps of an epoch, None where that is not known.
        settled: Whether the structure is final.
        loss_is_finite: Whether the loss of the last period was.
        random: `numpy.random.Generator` of everything that is drawn.

    Args:
        units: Boolean array `(units,)`, the units of the seed network.
        gates: Boolean array `(gates,)`, its gated layers.
        seed: Integer, of `random`.

    Example:

    ```python
    state = kgp.growth.GrowthState(units=[1, 0, 1], gates=[], seed=0)
    state.observe(units=[0.2, np.nan, 0.4], gates=[])
    state.observe(units=[0.4, np.nan, 0.4], gates=[])
    state.saliency[0]  # 0.3
    ```
    """

    _ARRAYS = (
        "units",
        "gates",
        "saliency",
        "gate_saliency",
        "logits",
        "gate_logits",
        "ages",
        "gate_ages",
        "scales",
        "gate_scales",
    )

    def __init__(self, units, gates, seed):
        units = np.asarray(units, dtype=bool)
        gates = np.asarray(gates, dtype=bool)
        self.units, self.gates = units, gates
        self.saliency = np.full(units.shape, np.nan)
        self.gate_saliency = np.full(gates.shape, np.nan)
        self.logits = np.zeros(units.shape)
        self.gate_logits = np.zeros(gates.shape)
        self.ages = np.zeros(units.shape, dtype=int)
        self.gate_ages = np.zeros(gates.shape, dtype=int)
        self.scales = np.ones(units.shape)
        self.gate_scales = np.ones(gates.shape)
        self.price = 0.0
        self.period = 0
        self.periods = 0
        self.parts = 1
        self.steps = None
        self.settled = False
        self.loss_is_finite = True
        self.random = np.random.default_rng(seed)

    def observe(self, units, gates):
        """Takes in the saliencies that one period measured.

        They count one half, what was known before the other half.

        Args:
            units: Array `(units,)`, NaN for units that were not measured.
            gates: Array `(gates,)`, likewise.
        """
        self.saliency = average_by_halves(self.saliency, units)
        self.gate_saliency = average_by_halves(self.gate_saliency, gates)

    def end_period(self, units, gates, count=1):
        """Counts one period of training.

        Args:
            units: Boolean array `(units,)`, what was trained: a unit inside a
                branch that is off was not.
            gates: Boolean array `(gates,)`, likewise.
            count: How many periods it was. Defaults to 1.
        """
        self.ages = self.ages + count * units
        self.gate_ages = self.gate_ages + count * gates
        self.period += count

    def copy(self):
        """Returns a state that can be changed without changing this one."""
        return copy.deepcopy(self)

    def to_arrays(self):
        """Returns the whole state as a dict of NumPy arrays."""
        result = {name: np.array(getattr(self, name)) for name in self._ARRAYS}
        scalars = {
            "price": float(self.price),
            "period": int(self.period),
            "periods": int(self.periods),
            "parts": int(self.parts),
            "steps": None if self.steps is None else int(self.steps),
            "settled": bool(self.settled),
            "loss_is_finite": bool(self.loss_is_finite),
            "random": self.random.bit_generator.state,
        }
        text = json.dumps(scalars).encode()
        result["scalars"] = np.frombuffer(text, dtype="uint8")
        return result

    @classmethod
    def from_arrays(cls, arrays):
        """Returns the state that `to_arrays` described.

        Args:
            arrays: What it returned: a dict of arrays, or of what NumPy makes
                arrays of.
        """
        state = cls(arrays["units"], arrays["gates"], seed=0)
        for name in cls._ARRAYS:
            value = np.array(arrays[name])
            setattr(state, name, value.astype(getattr(state, name).dtype))
        scalars = json.loads(bytes(np.array(arrays["scalars"], dtype="uint8")))
        state.random.bit_generator.state = scalars.pop("random")
        for name in set(scalars) & set(vars(state)):
            setattr(state, name, scalars[name])
        return state

"""The shape that a network has at one moment."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Structure:
    """Which units and which gated layers are in the network.

    Attributes:
        units: Boolean array of shape `(units,)`, the units of all groups one
            group after another.
        gates: Boolean array of shape `(gates,)`, one entry per gated layer.
    """

    units: np.ndarray
    gates: np.ndarray

    def __post_init__(self):
        for name in ("units", "gates"):
            value = np.array(getattr(self, name), dtype=bool)
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    def __eq__(self, other):
        if not isinstance(other, Structure):
            return NotImplemented
        return np.array_equal(self.units, other.units) and np.array_equal(
            self.gates, other.gates
        )

    __hash__ = None

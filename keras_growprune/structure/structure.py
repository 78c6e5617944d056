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

    Raises:
        ValueError: If one of them is no vector of booleans.
    """

    units: np.ndarray
    gates: np.ndarray

    def __post_init__(self):
        for name in ("units", "gates"):
            value = _booleans(name, getattr(self, name))
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    def __eq__(self, other):
        if not isinstance(other, Structure):
            return NotImplemented
        return np.array_equal(self.units, other.units) and np.array_equal(
            self.gates, other.gates
        )

    __hash__ = None


def _booleans(name, value):
    array = np.asarray(value)
    is_flag = array.size == 0 or (
        array.dtype.kind in "biuf" and np.all((array == 0) | (array == 1))
    )
    if array.ndim != 1 or not is_flag:
        raise ValueError(
            f"Argument `{name}` must be a vector of booleans, one for each "
            f"that there may be. Received: {name}={value!r}"
        )
    return np.array(array, dtype=bool)

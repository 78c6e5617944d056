"""The shape that a network has at one moment."""

import dataclasses

import numpy as np

from keras_growprune.structure import structure_json
from keras_growprune.text import counted


@dataclasses.dataclass(frozen=True, eq=False)
class Structure:
    """Which units and which gated layers are in the network.

    Two are equal if their units and gates are, whatever their names.

    Attributes:
        units: Boolean array of shape `(units,)`, the units of all groups one
            group after another.
        gates: Boolean array of shape `(gates,)`, one entry per gated layer.
        groups: Tuple of `(name, size)` of each group, or None where nobody
            said.
        gate_names: Tuple of names of the gated layers, or None.

    Raises:
        ValueError: If units or gates are no vector of booleans, or have other
            numbers than names.

    Example:

    ```python
    text = model.structure.to_json()
    structure = kgp.Structure.from_json(text)
    structure == model.structure  # True

    structure = kgp.Structure([1, 0, 1], [], (("conv", 3),), gate_names=())
    structure.widths  # {"conv": 2}
    ```
    """

    units: np.ndarray
    gates: np.ndarray
    groups: tuple | None = None
    gate_names: tuple | None = None

    def __post_init__(self):
        for name in ("units", "gates"):
            value = _booleans(name, getattr(self, name))
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        if self.groups is not None:
            count = sum(size for _, size in self.groups)
            _check_count("units", self.units, count, self.groups)
        if self.gate_names is not None:
            names = self.gate_names
            _check_count("gates", self.gates, len(names), names)

    @property
    def widths(self):
        """Number of units of each group, by its name.

        Raises:
            ValueError: If nobody said what the groups are.
        """
        self._check_names(self.groups)
        result, start = {}, 0
        for name, size in self.groups:
            result[name] = int(np.sum(self.units[start : start + size]))
            start += size
        return result

    def to_json(self):
        """Returns the structure as text, one group a line.

        Raises:
            ValueError: If nobody said what the groups and gates are.
        """
        self._check_names(self.groups, self.gate_names)
        return structure_json.to_json(self)

    @classmethod
    def from_json(cls, text):
        """Returns the structure that a text tells.

        Args:
            text: What `to_json` returned, or the same written by hand: a
                group may leave its `units` out and give a `width` alone.
                Groups and gates may stand in any order: a network finds them
                by their names.

        Raises:
            ValueError: If the text tells no structure.
        """
        return cls(**structure_json.from_json(text))

    def _check_names(self, *names):
        if None in names:
            raise ValueError(
                "This `Structure` was made of units and gates alone. "
                "Expected: one that knows the names of its groups, such as "
                "`model.structure`. Give `groups` and `gate_names` too."
            )

    def __repr__(self):
        """Widths and gates; without names, how many there are."""
        on, count = int(self.gates.sum()), len(self.gates)
        if self.groups is None:
            units = f"{int(self.units.sum())} of {len(self.units)} units"
        else:
            units = f"widths={self.widths}"
        gates = f"{on} of {counted(count, 'gate')}"
        if self.gate_names is not None:
            gates = f"gates={dict(zip(self.gate_names, self.gates.tolist()))}"
        return f"Structure({units}, {gates})"

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


def _check_count(name, vector, expected, names):
    if len(vector) != expected:
        raise ValueError(
            f"Argument `{name}` must have an entry for each of the "
            f"{expected} that {names!r} names. Received: {len(vector)} entries"
        )

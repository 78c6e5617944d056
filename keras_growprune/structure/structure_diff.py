"""What is different between two structures."""

import dataclasses

import numpy as np

from keras_growprune.structure.matched_names import in_order_of
from keras_growprune.text import table


@dataclasses.dataclass(frozen=True)
class GroupDiff:
    """One group in two structures.

    Attributes:
        name: Its name, in the later one.
        size: Number of its units in the full network.
        before, after: Its widths.
        gained, lost: How many units came, and how many left.
    """

    name: str
    size: int
    before: int
    after: int
    gained: int
    lost: int


class StructureDiff:
    """What came and what left from one structure to another.

    `print` it for a table.

    Attributes:
        groups: List of `GroupDiff`, all groups in the order of the network.
        gates: Maps the names of the gated layers to `(before, after)`.

    Args:
        before, after: A `Structure` each, with names, of the same network.

    Raises:
        ValueError: If they are of different networks, or made without the
            names of their groups and gates.

    Example:

    ```python
    before = model.structure
    model.fit(images, labels, epochs=1, growth_epochs=10)
    changes = kgp.diff(before, model)
    print(changes)  # a table
    bool(kgp.diff(model, model))  # False
    ```
    """

    def __init__(self, before, after):
        for each in (before, after):
            each.to_json()  # refuses one without names
        before = in_order_of(
            before,
            after,
            "The two structures must be of networks that were built in the "
            "same way: the earlier one with the groups and gates of the later "
            "one.",
        )
        self.groups, start = [], 0
        for name, size in after.groups:
            part = slice(start, start + size)
            old, new = before.units[part], after.units[part]
            self.groups.append(
                GroupDiff(
                    name=name,
                    size=size,
                    before=int(np.sum(old)),
                    after=int(np.sum(new)),
                    gained=int(np.sum(new & ~old)),
                    lost=int(np.sum(old & ~new)),
                )
            )
            start += size
        pairs = zip(map(bool, before.gates), map(bool, after.gates))
        self.gates = dict(zip(after.gate_names, pairs))

    def __bool__(self):
        """Whether anything is different."""
        changed = any(group.gained or group.lost for group in self.groups)
        return changed or any(old != new for old, new in self.gates.values())

    def __str__(self):
        if not self:
            return "no difference"
        rows = [
            (
                group.name,
                f"{group.before}",
                f"{group.after}",
                f"{group.size}",
                _signed(group.gained, "+"),
                _signed(group.lost, "-"),
            )
            for group in self.groups
            if group.gained or group.lost
        ]
        rows += [
            (name, _presence(old), _presence(new), "in", "", "")
            for name, (old, new) in self.gates.items()
            if old != new
        ]
        same = sum(not (g.gained or g.lost) for g in self.groups)
        same += sum(old == new for old, new in self.gates.values())
        text = table(("group", "before", "after", "full", "came", "left"), rows)
        return f"{text}\n{same} more without a difference" if same else text

    __repr__ = __str__


def _signed(count, sign):
    return f"{sign}{count}" if count else ""


def _presence(gate):
    return "in" if gate else "out"

"""The units and gated layers that a rule may switch, and what they cost."""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class UnitSpace:
    """Everything that a rule needs to know of a network.

    Attributes:
        sizes: Integer array of shape `(groups,)`, units per group in the full
            network. Units of a group follow each other in all unit vectors.
        multiples: Integer array of shape `(groups,)`. Widths are multiples of
            these, or the full width.
        gate_kinds: Integer array of shape `(gates,)`. Gated layers of one kind
            are expected to be worth about the same.
        cost: Maps widths `(..., groups)` and gates `(..., gates)` to costs
            `(...)`. If it has a method `of_changes`, as costs of
            `keras_growprune.cost` do, decisions are faster: see
            `costs_of_changes`.
        least: Integer array of shape `(groups,)`, the smallest width at which
            a group still says anything. Defaults to `None`: 1.

    Example:

    ```python
    prices = np.array([3.0, 1.0])  # of a unit of each group
    space = kgp.growth.UnitSpace(
        sizes=np.array([4, 8]),
        multiples=np.array([1, 4]),
        gate_kinds=np.zeros(0, int),
        cost=lambda widths, gates: np.asarray(widths) @ prices,
    )
    space.cost([2, 4], [])  # 10.0
    space.widths(np.ones(12))  # [4, 8]
    space.narrower(group=1, width=8)  # 4
    space.uniform(0.5)  # [2, 4]
    ```
    """

    sizes: np.ndarray
    multiples: np.ndarray
    gate_kinds: np.ndarray
    cost: Callable
    least: np.ndarray | None = None

    @property
    def starts(self):
        """Integer array `(groups,)`, index of the first unit of each group."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(int)

    @property
    def unit_count(self):
        """Number of units of the full network."""
        return int(np.sum(self.sizes))

    def slices(self):
        """Returns one slice of unit vectors for each group, a list."""
        return [
            slice(start, start + size)
            for start, size in zip(self.starts, self.sizes)
        ]

    def widths(self, units):
        """Returns how many units each group has, an array `(groups,)`.

        Args:
            units: Boolean array `(units,)`.
        """
        return np.array([np.count_nonzero(units[s]) for s in self.slices()])

    def unit_groups(self):
        """Returns the index of the group of each unit, an array `(units,)`."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def smallest_widths(self):
        """Returns the smallest admissible width of each group, an array."""
        least = 1 if self.least is None else self.least
        least = -(-least // self.multiples) * self.multiples
        return np.minimum(least, self.sizes)

    def narrower(self, group, width):
        """Returns the next smaller admissible width, or `width` at the least.

        Args:
            group: Index of the group.
            width: Integer, a number of its units.
        """
        multiple = self.multiples[group]
        below = (width - 1) // multiple * multiple
        return below if below >= self.smallest_widths()[group] else width

    def wider(self, group, width):
        """Returns the next larger admissible width, or `width` at the full.

        Args:
            group: Index of the group.
            width: Integer, a number of its units.
        """
        multiple = self.multiples[group]
        return min((width // multiple + 1) * multiple, self.sizes[group])

    def costs_of_changes(self, widths, gates, to):
        """Costs of structures that differ from one in one place.

        Args:
            widths: Integer array `(groups,)`.
            gates: Boolean array `(gates,)`.
            to: Array `(groups + gates,)`: what each width and each gate is
                changed to, in a structure of its own.

        Returns:
            Array `(groups + gates,)`.
        """
        of_changes = getattr(self.cost, "of_changes", None)
        if of_changes is not None:
            return of_changes(widths, gates, to)
        states = np.tile(np.append(widths, gates), (len(to), 1))
        np.fill_diagonal(states, to)
        return self.cost(states[:, : len(widths)], states[:, len(widths) :] > 0)

    def unit_costs(self, widths, gates):
        """What one unit of each group costs at the present widths.

        Args:
            widths: Integer array `(groups,)`.
            gates: Boolean array `(gates,)`.

        Returns:
            Array of shape `(groups,)`, 0 where a group costs nothing now
            because all of its layers are out of the network.
        """
        now = self.cost(widths, gates)
        others = np.array(widths)
        for group, width in enumerate(widths):
            others[group] = self.narrower(group, width)
            if others[group] == width:
                others[group] = self.wider(group, width)
        change = np.asarray(widths) - others
        variants = widths - np.diag(change)
        gates = np.broadcast_to(gates, (len(widths), len(gates)))
        return (now - self.cost(variants, gates)) / np.where(change, change, 1)

    def uniform(self, fraction, fixed=None):
        """Widths that are all about the same fraction of the full ones.

        Args:
            fraction: Float in (0, 1].
            fixed: Maps group indices to widths that are given. Defaults to
                `None`: none are.

        Returns:
            Integer array of shape `(groups,)`.
        """
        scaled = np.floor(self.sizes * fraction / self.multiples + 1e-9)
        widths = np.clip(
            (scaled * self.multiples).astype(int),
            self.smallest_widths(),
            self.sizes,
        )
        if fraction >= 1:
            widths = self.sizes.copy()
        for group, width in (fixed or {}).items():
            widths[group] = width
        return widths

    def seed_gates(self, cost, may_leave):
        """Gated layers of a seed network with full widths, if that fits.

        Args:
            cost: Cost that the seed network may have.
            may_leave: Boolean array of shape `(gates,)`: layers that the seed
                can do without. The others are always there.

        Returns:
            Boolean array of shape `(gates,)`: as many layers as fit at full
            widths, spread evenly over the kinds of layers.
        """
        gates = ~np.asarray(may_leave, dtype=bool)
        candidates = list(np.flatnonzero(may_leave))
        while candidates:
            present = np.bincount(
                self.gate_kinds[gates], minlength=np.max(self.gate_kinds) + 1
            )
            index = min(candidates, key=lambda i: present[self.gate_kinds[i]])
            candidates.remove(index)
            gates[index] = True
            if self.cost(self.sizes, gates) > cost * (1 + 1e-9):
                gates[index] = False
        return gates

    def seed_widths(self, cost, gates, fixed=None):
        """Uniformly narrow widths of at most a given cost.

        Args:
            cost: Cost that the seed network may have.
            gates: Boolean array of shape `(gates,)`.
            fixed: Maps group indices to widths that are given. Defaults to
                `None`: none are.

        Returns:
            Integer array of shape `(groups,)`.
        """
        fractions = sorted(
            {
                count / size
                for size in self.sizes
                for count in range(1, size + 1)
            }
        )
        best = self.uniform(0.0, fixed)
        for fraction in fractions:  # costs rise with the fraction
            widths = self.uniform(fraction, fixed)
            if self.cost(widths, gates) > cost * (1 + 1e-9):
                break
            best = widths
        # What room rounding left goes to the narrowest groups that fit.
        for group in np.argsort(best / self.sizes, kind="stable"):
            if group not in (fixed or {}):
                widths = best.copy()
                widths[group] = self.wider(group, best[group])
                if self.cost(widths, gates) <= cost:
                    best = widths
        return best

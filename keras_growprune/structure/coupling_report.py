"""A table of what depends on what in a network."""

import copy
import dataclasses
import math
import re

import numpy as np

from keras_growprune.structure import axes
from keras_growprune.structure.propagation import MIXING
from keras_growprune.structure.sequences import recurrent_parts
from keras_growprune.structure.trace import trace_channels


@dataclasses.dataclass(frozen=True)
class CoupledGroup:
    """Units that live and die together.

    Attributes:
        name: Name of the group.
        size: Number of units in the full network.
        channels: Number of channels that one unit has in the layers that
            write it: more than one where a layer works in parts.
        writers: Names of the layers whose output channels the units are.
        followers: Names of the layers with weights for the same channels.
        why: What ties them together, a list of short sentences.
    """

    name: str
    size: int
    channels: int
    writers: list
    followers: list
    why: list


class CouplingReport:
    """What depends on what in a growing network, and what cannot change.

    Attributes:
        groups: List of `CoupledGroup`.
        gates: Names of the layers that may leave with their branch.
        frozen: Maps the name of each layer that makes new channels, but whose
            width cannot change, to the reason.
        growable_share: Fraction of all weights of convolutions and dense
            layers that belong to a layer whose width can change.
        traced_anew: Maps the names of layers that need known widths while
            functions are traced to why. Where it is empty, one trace serves
            all widths; else functions are traced anew for each structure.

    Args:
        channel_map: A `ChannelMap`, while the network has its full widths.

    Example:

    ```python
    report = model.coupling_report()
    print(report)  # a table
    for group in report.groups:
        print(group.name, group.size, group.writers, group.why)
    report.traced_anew  # {}
    ```
    """

    def __init__(self, channel_map):
        self._map = channel_map
        self.traced_anew = {}
        multiples = channel_map.units_to_channels()
        whys = self._whys()
        self.groups = [
            CoupledGroup(
                name=group.name,
                size=group.size,
                channels=int(multiples[index]),
                writers=[layer.name for layer in group.writers],
                followers=self._followers(group),
                why=whys[index],
            )
            for index, group in enumerate(channel_map.groups)
        ]
        self.gates = [gate.name for gate in channel_map.gates]
        self.frozen = self._frozen()
        self.growable_share = self._share()

    def with_traces(self, reasons):
        """The same report, with what is traced anew and why.

        Args:
            reasons: Maps names to reasons, see `traced_anew`.

        Returns:
            A `CouplingReport`.
        """
        report = copy.copy(self)
        report.traced_anew = dict(reasons)
        return report

    def _whys(self):
        """For each group the reasons of its ties, in the graph's order."""
        found = [{} for _ in self._map.groups]
        owner = np.repeat(np.arange(len(found)), self._map.sizes)
        for units, why in self._map.ties:
            units = np.unique(units[units < len(owner)])
            for index in np.unique(owner[units]):
                found[index][why] = True
        return [list(reasons) for reasons in found]

    def _followers(self, group):
        names = {}
        for weight in self._map.weights:
            units = _units_behind_outputs(weight)
            if weight.layer in group.writers or units is None:
                continue
            inside = (units >= group.start) & (units < group.slice.stop)
            if inside.any():
                names[weight.layer.name] = True
        return list(names)

    def _can_change(self):
        """Ids of layers some of whose output channels are units."""
        return {
            id(weight.layer)
            for weight in self._map.weights
            for units in [_units_behind_outputs(weight)]
            if units is not None and (units < self._map.unit_count).any()
        }

    def _frozen(self):
        can_change = self._can_change()
        # What would be, if every layer could grow.
        wanted = trace_channels(
            self._map.calls, self._map.outputs, can_grow=lambda layer: True
        )
        frozen = {}
        for call in self._map.calls:
            layer, known = call.layer, axes.axes_of(call.layer)
            kind = type(layer).__name__
            if known is None:
                if getattr(layer, "weights", ()):
                    frozen[layer.name] = (
                        f"unknown type {kind}: teach it with `register_axes`"
                    )
            elif known.channels == "attention":
                frozen[layer.name] = (
                    "its heads stay; it is as wide as its queries"
                )
            elif known.channels in MIXING:
                for part in recurrent_parts(layer) or [layer]:
                    if id(part) not in can_change:
                        frozen[part.name] = wanted.frozen.get(
                            part.name,
                            f"it is a plain `{kind}`, or was to stay as it is",
                        )
        return frozen

    def _share(self):
        can_change = self._can_change()
        total = growing = 0
        for weight in self._map.weights:
            if weight.attribute in axes.axes_of(weight.layer).multiplies:
                count = math.prod(weight.full_shape)
                total += count
                growing += count * (id(weight.layer) in can_change)
        return growing / total if total else 0.0

    def __str__(self):
        rows = [("group", "units", "written by", "followed by", "tied by")]
        for group in self.groups:
            units = str(group.size)
            if group.channels > 1:
                units += f" x {group.channels} channels"
            rows.append(
                (
                    group.name,
                    units,
                    _listed(group.writers, most=2),
                    _listed(group.followers, most=1),
                    _listed(group.why, most=1),
                )
            )
        lines = _table(rows)
        if any(_is_cut(cell) for row in rows[1:] for cell in row[2:]):
            lines += [
                "",
                "Long lists are cut. `report.groups` has all of them, each "
                "with `writers`, `followers` and `why`.",
            ]
        lines += ["", f"May leave with their branch: {_listed(self.gates, 9)}"]
        lines += ["", "Cannot change their width:"]
        for name, reason in self.frozen.items():
            lines.append(f"  {name}: {reason}")
        lines += [
            "",
            f"{self.growable_share:.1%} of the weights of convolutions and "
            "dense layers are in layers whose width can change.",
        ]
        if self.traced_anew:
            lines += ["", "Functions are traced anew for each structure:"]
        for name, reason in self.traced_anew.items():
            lines.append(f"  {name}: {reason}")
        return "\n".join(lines)

    __repr__ = __str__


def _units_behind_outputs(weight):
    """Units behind the output channels of a weight's layer, or None."""
    known = axes.axes_of(weight.layer)
    label = axes.IN if known.channels == "depthwise" else axes.OUT
    if label not in weight.labels:
        return None
    return weight.units[weight.labels.index(label)]


def _listed(names, most):
    shown = ", ".join(names[:most])
    rest = len(names) - most
    return f"{shown} and {rest} more" if rest > 0 else shown or "-"


def _is_cut(text):
    return re.search(r" and \d+ more$", text) is not None


def _table(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths)
        ).rstrip()
        for row in rows
    ]

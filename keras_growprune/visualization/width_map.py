"""The heat map of widths over the epochs."""

import dataclasses

import numpy as np

from keras_growprune.visualization.figure import elided
from keras_growprune.visualization.figure import text_width

_GAP = 0.08


@dataclasses.dataclass(frozen=True)
class _Row:
    """A group or a gated layer: its name, what is shown, where to find it."""

    name: str
    label: str
    is_gate: bool
    index: int


class WidthMap:
    """One row for each group of units and, if one changed, each gated layer.

    Args:
        model: A `GrowPruneModel`.
        record: Its `GrowthRecord`.
        theme: A `Theme`.

    Attributes:
        left, right: In inches, what labels at the sides need.
        height: In inches.
        text: What is to be known to read it.
    """

    def __init__(self, model, record, theme):
        self._record, self._theme = record, theme
        channel_map = model._growth.blueprint.map
        # Where all branches are there all the time, their rows say nothing.
        self._rows = _rows(channel_map, with_gates=not record.gates.all())
        count = max(len(self._rows), 1)
        # Many rows are lower, as far as can be read.
        row_height = float(np.clip(9 / count, 0.14, 0.24))
        self._size = min(8.5, row_height * 72 * 0.68)
        self.height = row_height * count
        self._sizes = channel_map.sizes
        self.text = self._explained(channel_map)
        self._labels = [row.label for row in self._rows]
        self._ends = [self._end(row) for row in self._rows]
        self.left = text_width(self._labels, self._size) + _GAP
        self.right = text_width(self._ends, self._size) + _GAP

    def _end(self, row):
        if row.is_gate:
            return "in" if self._record.gates[-1, row.index] else "out"
        now = self._record.widths[-1, row.index]
        return f"{now or 'out'} / {self._sizes[row.index]}"

    def _explained(self, channel_map):
        parts = ["row: a layer"]
        if any(len(group.writers) > 1 for group in channel_map.groups):
            parts[0] += " (+n: and n more, which share its units)"
        if any(row.is_gate for row in self._rows):
            parts.append("thin line: a gated layer and its branch are in")
        is_out = not (self._record.widths > 0).all()
        if is_out or not self._record.gates.all():
            parts.append("hatched: out")
        return "; ".join(parts)

    def draw(self, axes):
        """Draws the map; returns what a colour bar needs."""
        record, theme = self._record, self._theme
        count = len(self._rows)
        values = np.full((count, len(record.widths)), np.nan)
        for place, row in enumerate(self._rows):
            if not row.is_gate:
                widths = record.widths[:, row.index]
                values[place] = widths / self._sizes[row.index]
        values = np.ma.masked_where(~(values > 0), values)
        mesh = axes.pcolormesh(
            record.edges,
            np.arange(count + 1) - 0.5,
            values,
            cmap=theme.fractions,
            vmin=0,
            vmax=1,
            gid="widths",
        )
        for place, row in enumerate(self._rows):
            self._draw_presence(axes, place, row)
        axes.hlines(
            np.arange(1, count) - 0.5,
            *record.edges[[0, -1]],
            color=theme.background,
            linewidth=1,
        )
        axes.set(ylim=(count - 0.5, -0.5), xlim=record.edges[[0, -1]])
        axes.spines[:].set_visible(False)
        axes.tick_params(left=False, labelbottom=False)
        axes.set_yticks(range(count), self._labels, fontsize=self._size)
        pairs = zip(axes.get_yticklabels(), self._rows)
        for place, (label, row) in enumerate(pairs):
            is_out = self._ends[place].startswith("out")
            label.set_color(theme.muted if row.is_gate else theme.ink)
            axes.annotate(
                self._ends[place],
                (1, place),
                (_GAP * 72, 0),
                xycoords=axes.get_yaxis_transform(),
                textcoords="offset points",
                va="center_baseline",
                fontsize=self._size,
                color=theme.out if is_out else label.get_color(),
            )
        return mesh

    def _draw_presence(self, axes, place, row):
        """Hatches what is out; a gated layer that is in is a line."""
        theme, record = self._theme, self._record
        of_kind = record.gates if row.is_gate else record.widths
        is_in = of_kind[:, row.index] > 0
        if row.is_gate:
            axes.broken_barh(
                _spans(record.edges, is_in),
                (place - 0.07, 0.14),
                color=theme.muted,
                linewidth=0,
            )
        axes.broken_barh(
            _spans(record.edges, ~is_in),
            (place - 0.5, 1),
            facecolor=theme.background,
            edgecolor=theme.out,
            hatch="////",
            linewidth=0,
            gid=f"out {row.name}",
        )


def _rows(channel_map, with_gates):
    """One `_Row` for each group and each gate, in the graph's order."""
    found = []
    for index, group in enumerate(channel_map.groups):
        label, more = elided(group.name), len(group.writers) - 1
        label += f" +{more}" if more else ""
        place = min(map(channel_map.layer_index, group.writers))
        found.append((place, _Row(group.name, label, False, index)))
    for index, gate in enumerate(channel_map.gates if with_gates else ()):
        place = channel_map.layer_index(gate.layer)
        found.append((place, _Row(gate.name, elided(gate.name), True, index)))
    return [row for _, row in sorted(found, key=lambda pair: pair[0])]


def _spans(edges, flags):
    """Beginnings and lengths of the stretches where flags are set."""
    bounds = np.diff(np.concatenate([[False], flags, [False]]).astype(int))
    starts, stops = np.flatnonzero(bounds == 1), np.flatnonzero(bounds == -1)
    return [(edges[a], edges[b] - edges[a]) for a, b in zip(starts, stops)]

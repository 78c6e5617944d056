"""Bars of widths, from the input of a network to its output."""

import numpy as np

from keras_growprune.visualization.figure import elided
from keras_growprune.visualization.figure import text_width

_GAP, _BRACKET = 0.1, 0.12
_THICK = 0.68  # of a bar, in rows
# Bars are as long as the root of the width where they would be too different.
_MOST_TIMES = 12


class StructureDrawing:
    """One row for each layer: its name, its bars, its width, its branch.

    Args:
        network: A `NetworkRows`.
        theme: A `Theme`.
        row_height: In inches.
        bar_room: Length of the longest bar in inches.

    Attributes:
        width, height: In inches, what the drawing needs.
        scale_text: How lengths tell widths.
    """

    def __init__(self, network, theme, row_height, bar_room=3.0):
        self._network, self._theme = network, theme
        self._row_height, self._bar_room = row_height, bar_room
        self._size = min(8.5, row_height * 72 * 0.68)
        self._names = [elided(row.name) for row in network.rows]
        full = network.full
        self._is_root = full.max() > _MOST_TIMES * np.median(full) or (
            full.max() > _MOST_TIMES * full.min()
        )
        self.scale_text = (
            "bar length: square root of the width"
            if self._is_root
            else "bar length: width"
        )
        self._place_columns()
        self.height = row_height * (len(network.rows) + 2)
        self._behind, self._before = [], []

    def _place_columns(self):
        network = self._network
        names = text_width(self._names, self._size)
        numbers = [f"{n:,} / {n:,}" for n in network.full] + ["out / 999"]
        gates = [f"{elided(b.name, 22)} out" for b in network.branches]
        self._middle = names + _GAP + self._bar_room / 2
        self._numbers = names + 2 * _GAP + self._bar_room
        self._numbers += text_width(numbers, self._size)
        self._brackets = self._numbers + _GAP
        depths = 1 + max((b.depth for b in network.branches), default=-1)
        self._labels = self._brackets + depths * 2 * _BRACKET
        self.width = self._labels + text_width(gates, self._size, weight="bold")
        if gates:
            self.width += 0.05

    def draw(self, axes):
        """Draws what does not change."""
        theme, rows = self._theme, self._network.rows
        axes.set(xlim=(0, self.width), ylim=(len(rows) + 0.5, -1.5))
        axes.set_axis_off()
        self._axes = axes
        for place, text in zip((-1, len(rows)), self._network.ends):
            axes.text(
                self._middle,
                place,
                text,
                ha="center",
                va="center_baseline",
                fontsize=self._size,
                color=theme.muted,
                style="italic",
            )
        places = np.arange(len(rows))
        full = self._lengths(self._network.full)
        fixed = np.array([row.is_fixed for row in rows])
        outline = axes.barh(
            places,
            full,
            _THICK,
            self._middle - full / 2,
            color=theme.pale,
            edgecolor=theme.faint,
            linewidth=0.8,
            label="full",
        )
        self._bars, self._handles = [None] * len(rows), [outline]
        kinds = (("now", ~fixed, theme.now), ("fixed", fixed, theme.muted))
        for label, which, color in kinds:
            if which.any():
                bars = axes.barh(
                    places[which], full[which], _THICK, color=color, label=label
                )
                self._handles.append(bars)
                for place, bar in zip(places[which], bars):
                    self._bars[place] = bar
        for row, whole, now in zip(rows, outline, self._bars):
            whole.set_gid(f"full {row.name}")
            now.set_gid(f"now {row.name}")
        self._draw_seed(axes, places, fixed)
        self._draw_texts(axes)
        self._arcs = [
            self._draw_branch(axes, b) for b in self._network.branches
        ]
        self._behind += self._bars
        self._before += self._texts

    def _draw_texts(self, axes):
        """Names at the left, and room for widths at the right."""
        left = self._middle - self._bar_room / 2 - _GAP
        common = dict(ha="right", va="center_baseline", fontsize=self._size)
        self._texts = []
        for place, row in enumerate(self._network.rows):
            color = self._theme.muted if row.is_fixed else self._theme.ink
            axes.text(left, place, self._names[place], color=color, **common)
            gid = f"width {row.name}"
            text = axes.text(self._numbers, place, "", gid=gid, **common)
            self._texts.append(text)

    def _draw_seed(self, axes, places, fixed):
        """Ticks at both ends of the seed's bar."""
        there = (self._network.seed > 0) & ~fixed
        seed = self._lengths(self._network.seed)[there]
        places = places[there]
        both = np.concatenate([-seed, seed]) / 2 + self._middle
        places = np.concatenate([places, places])
        (ticks,) = axes.plot(
            both,
            places,
            linestyle="none",
            marker="|",
            markersize=0.92 * 72 * self._row_height,
            markeredgewidth=1.6,
            color=self._theme.seed,
            label="seed",
        )
        self._handles.append(ticks)
        self._before.append(ticks)

    def _draw_branch(self, axes, branch):
        """An arc beside the rows of a branch, and what marks its leaving."""
        theme = self._theme
        left = self._brackets
        reach = left + (1 + 2 * branch.depth) * _BRACKET
        top, bottom = branch.first - 0.42, branch.last + 0.42
        band = axes.fill_between(
            [0, reach],
            top - 0.06,
            bottom + 0.06,
            color=theme.out,
            alpha=0.13,
            linewidth=0,
            zorder=0,
        )
        angle = np.linspace(0, np.pi / 2, 12)
        bend_x, bend_y = _BRACKET * np.sin(angle), 0.5 * (1 - np.cos(angle))
        bend_y = np.minimum(bend_y, (bottom - top) / 2)
        x = np.concatenate([[left], reach - _BRACKET + bend_x])
        y = np.concatenate([[top], top + bend_y])
        down = np.concatenate([y, top + bottom - y[::-1]])
        (arc,) = axes.plot(
            np.concatenate([x, x[::-1]]),
            down,
            linewidth=1.2,
            gid=f"branch {branch.name}",
        )
        label = axes.text(
            self._labels,
            (top + bottom) / 2,
            "",
            va="center_baseline",
            fontsize=self._size,
            gid=f"gate {branch.name}",
        )
        self._behind.insert(0, band)
        self._before += [arc, label]
        return band, arc, label

    def _lengths(self, widths):
        """Lengths of bars in inches."""
        share = np.asarray(widths, dtype=float) / self._network.full.max()
        return self._bar_room * (np.sqrt(share) if self._is_root else share)

    def legend(self):
        """Says above the bars what their parts are."""
        self._axes.legend(
            handles=self._handles,
            loc="lower center",
            bbox_to_anchor=(self._middle / self.width, 1.0),
            ncols=len(self._handles),
            handlelength=1.2,
            columnspacing=1.2,
            markerscale=0.7,
            borderaxespad=0.2,
        )

    @property
    def moving(self):
        """The artists that `show` changes, from back to front."""
        return [*self._behind, *self._before]

    def show(self, widths, gates):
        """Shows a state of the network.

        Args:
            widths: Array, one width for each row, 0 where not in the network.
                Numbers between two integers are allowed.
            gates: Boolean array, which branches are in the network.
        """
        theme = self._theme
        for bar, length in zip(self._bars, self._lengths(widths)):
            bar.set(x=self._middle - length / 2, width=length)
        rows = self._network.rows
        for row, text, width in zip(rows, self._texts, widths):
            shown = f"{round(width):,}" if width else "out"
            if not row.is_fixed:
                shown = f"{shown} / {row.full:,}"
            color = theme.muted if row.is_fixed else theme.ink
            text.set(text=shown, color=color if width else theme.out)
        pairs = zip(self._network.branches, gates, self._arcs)
        for branch, is_on, (band, arc, label) in pairs:
            name = elided(branch.name, 22)
            color = theme.muted if is_on else theme.out
            band.set_visible(not is_on)
            arc.set(color=color, linestyle="-" if is_on else (0, (2, 1.2)))
            label.set(
                text=name if is_on else f"{name} out",
                color=color,
                weight="normal" if is_on else "bold",
            )

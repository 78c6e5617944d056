"""Lines over the epochs: cost, and whatever metrics there are."""

import numpy as np

from keras_growprune.visualization.figure import text_width
from keras_growprune.visualization.structure_text import measure_text

_SIZE, _GAP = 8, 0.08
# The loss of a run that falls by so much is drawn on a scale of logarithms.
_MOST_TIMES = 30


class Line:
    """A line whose name and last value stand at its right end.

    Attributes:
        name: What it shows.
        x, y: Its points.
        color: Its colour.
        given: Whether it is known before the run.
        arguments: Further ones of `plot`.
    """

    def __init__(self, name, x, y, color, form="", given=False, **arguments):
        self.name, self.color, self._form = name, color, form
        self.x, self.y = np.asarray(x, float), np.asarray(y, float)
        self.given, self.arguments = given, arguments

    def until(self, moment):
        """The points up to a moment, the last one at the moment itself."""
        x, y = self.x, self.y
        passed = np.searchsorted(x, moment, side="right")
        if self.given or passed in (0, len(x)):
            end = len(x) if self.given else passed
            return x[:end], y[:end]
        end = np.interp(moment, x[passed - 1 :], y[passed - 1 :])
        return np.append(x[:passed], moment), np.append(y[:passed], end)

    def label(self, moment=np.inf):
        """Its name, with the value at which it ends at a moment."""
        _, y = self.until(moment)
        if not self._form or not len(y):
            return self.name
        return f"{self.name} {y[-1]:{self._form}}"


class Panel:
    """Lines that share a pair of axes.

    Args:
        title: What they show.
        lines: List of `Line`.
        scale: `"linear"`, `"log"`, or `"share"`: linear from zero.
    """

    def __init__(self, title, lines, scale="linear"):
        self.title, self.lines, self._scale = title, lines, scale

    def right(self):
        """What the labels need at the right, in inches."""
        labels = [line.label() for line in self.lines]
        return text_width(labels, _SIZE) + _GAP

    def draw(self, axes, theme, epochs):
        """Draws the panel.

        Args:
            axes: Where.
            theme: A `Theme`.
            epochs: Length of the run.

        Returns:
            For each line its artist and that of its label.
        """
        self._prepare(axes, theme, epochs)
        strokes = [
            axes.plot(
                line.x,
                line.y,
                color=line.color,
                label=line.name,
                clip_on=False,
                **{"linewidth": 1.6, **line.arguments},
            )[0]
            for line in self.lines
        ]
        return list(zip(strokes, self._labels(axes)))

    def _prepare(self, axes, theme, epochs):
        """Sets scales and grid."""
        y = np.concatenate([line.y for line in self.lines])
        y = y[np.isfinite(y)]
        low, high = (y.min(), y.max()) if len(y) else (0.0, 1.0)
        if self._scale == "log":
            axes.set_yscale("log")
            axes.set_ylim(low / 1.3, high * 1.3)
        else:
            low = 0.0 if self._scale == "share" else low
            room = 0.08 * ((high - low) or abs(high) or 1)
            below = 0.0 if self._scale == "share" else room
            axes.set_ylim(low - below, high + room)
            axes.locator_params(axis="y", nbins=4)
        axes.set_xlim(0, epochs)
        axes.set_title(self.title, pad=4)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.spines["left"].set_visible(False)
        axes.tick_params(which="both", left=False)

    def _labels(self, axes):
        """Names the lines at their right ends, one below the other."""
        to_axes = axes.transData + axes.transAxes.inverted()
        ends = []
        for line in self.lines:
            y = line.y[np.isfinite(line.y)]
            last = y[-1] if len(y) else axes.get_ylim()[0]
            ends.append(to_axes.transform((0, last))[1])
        inches = axes.get_position().height * axes.figure.get_figheight()
        places = _apart(ends, step=1.3 * _SIZE / 72 / inches)
        return [
            axes.annotate(
                line.label(),
                (1, place),
                (_GAP * 72, 0),
                xycoords="axes fraction",
                textcoords="offset points",
                va="center",
                fontsize=_SIZE,
                color=line.color,
            )
            for line, place in zip(self.lines, places)
        ]


def cost_panel(model, record, theme):
    """A `Panel` of the cost beside what was allowed."""
    ends = record.edges[[0, -1]]
    budget = [model._growth.blueprint.budget_fraction] * 2
    dots = dict(linestyle=(0, (1, 1.5)), given=True)
    lines = [Line("budget", ends, budget, theme.out, ".3f", **dots)]
    if np.isfinite(record.targets).any():
        x, y = _stairs(record.edges, record.targets)
        # Wide and behind the cost, which often lies on it.
        lines.insert(
            0,
            Line(
                "schedule",
                x,
                y,
                theme.muted,
                given=True,
                linewidth=4.5,
                alpha=0.35,
            ),
        )
    x, y = _stairs(record.edges, record.costs)
    lines.append(Line("cost", x, y, theme.now, ".3f"))
    title = f"cost: share of the full network's {measure_text(model)}"
    return Panel(title, lines, scale="share")


def metric_panels(record, theme, most):
    """One `Panel` for each metric, `most` at most."""
    colors = {"training": theme.training, "validation": theme.validation}
    panels = []
    for name, series in list(record.metrics.items())[:most]:
        # A few points are seen as such.
        marks = dict(marker="o" if record.epochs <= 40 else "", markersize=3)
        lines = [
            Line(kind, x, y, colors[kind], "#.3g", **marks)
            for kind, (x, y) in series.items()
        ]
        y = np.concatenate([line.y for line in lines])
        y = y[np.isfinite(y)]
        is_log = "loss" in name and len(y) and y.min() > 0
        is_log = is_log and y.max() > _MOST_TIMES * y.min()
        title = name.replace("_", " ") + (" (logarithmic)" if is_log else "")
        panels.append(Panel(title, lines, "log" if is_log else "linear"))
    return panels


def _stairs(edges, values):
    """Points of a line that is level within each period."""
    return np.repeat(edges, 2)[1:-1], np.repeat(values, 2)


def _apart(places, step):
    """Places moved as little as it takes to be a step from each other.

    Neighbours that are too close move apart around their mean.
    """
    order = np.argsort(places, kind="stable")
    steps = step * np.arange(len(order))
    blocks = []  # of places that touch: their mean, and how many
    for place in np.asarray(places, dtype=float)[order] - steps:
        mean, count = place, 1
        while blocks and blocks[-1][0] >= mean:
            other, size = blocks.pop()
            mean = (mean * count + other * size) / (count + size)
            count += size
        blocks.append((mean, count))
    moved = np.concatenate([[mean] * count for mean, count in blocks])
    top = max(1.0 - steps[-1], 0.0)
    result = np.empty(len(order))
    result[order] = np.clip(moved, 0.0, top) + steps
    return result

"""One figure that tells how a network grew."""

import math

from keras_growprune.training.growing_model import trained_model
from keras_growprune.visualization.curves import cost_panel
from keras_growprune.visualization.curves import metric_panels
from keras_growprune.visualization.figure import PICTURES
from keras_growprune.visualization.figure import Sheet
from keras_growprune.visualization.figure import check_ending
from keras_growprune.visualization.figure import drawing
from keras_growprune.visualization.figure import save
from keras_growprune.visualization.growth_record import GrowthRecord
from keras_growprune.visualization.structure_text import structure_text
from keras_growprune.visualization.theme import theme_named
from keras_growprune.visualization.width_map import WidthMap

_MARGIN, _HEAD, _FOOT = 0.2, 1.2, 0.5
_WIDTH, _PANEL, _BETWEEN = 5.2, 1.15, 0.38
_MOST_METRICS = 3


def plot_growth(model_or_history, path=None, theme="light"):
    """Draws how a network grew: widths, cost and metrics over the epochs.

    The map on top has a row for each group of units that live and die
    together, named after the first layer that has them (and the number of
    others), and a thin one for each gated layer, if one was ever out of the
    network. Colours are widths as fractions of the full ones, the same in both
    themes; what is hatched is out of the network. Below
    are the cost beside what the schedule allowed, and the metrics of `fit`.
    A line across all of it is the moment when the structure was settled.

    Args:
        model_or_history: A trained `GrowPruneModel`, a model that has one
            among its layers, or the `keras.callbacks.History` of either.
        path: File to write, ending in `.png`, `.svg`, `.pdf`, `.jpg` or
            `.webp`. Defaults to `None`: none.
        theme: `"light"` or `"dark"`.

    Returns:
        A `matplotlib.figure.Figure`, which notebooks show.

    Raises:
        ValueError: If there is no `GrowPruneModel`, it has not been trained,
            or `path` or `theme` is unknown.
        ImportError: If matplotlib is not installed.

    Example:

    ```python
    import keras
    import numpy as np

    import keras_growprune as kgp

    network = kgp.models.resnet((8, 8, 1), depth=8)
    model = kgp.GrowPruneModel(*network, budget=kgp.Budget(flops=0.5))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    images, labels = np.zeros((64, 8, 8, 1)), np.zeros(64)
    history = model.fit(images, labels, epochs=4, verbose=0)
    figure = kgp.plot_growth(history, "growth.png")
    ```
    """
    theme = theme_named(theme)
    check_ending(path, PICTURES)
    model = trained_model(model_or_history)
    record = GrowthRecord(model)
    with drawing(theme):
        widths = WidthMap(model, record, theme)
        panels = [
            cost_panel(model, record, theme),
            *metric_panels(record, theme, _MOST_METRICS),
        ]
        left = _MARGIN + widths.left
        right = max([widths.right, *[panel.right() for panel in panels]])
        below = len(panels) * (_BETWEEN + _PANEL)
        sheet = Sheet(
            left + _WIDTH + right + _MARGIN,
            _HEAD + widths.height + below + _FOOT,
        )
        axes = sheet.axes(left, _HEAD, _WIDTH, widths.height)
        mesh = widths.draw(axes)
        _scale(sheet, mesh, left + _WIDTH, theme)
        every = [axes]
        top = _HEAD + widths.height
        for panel in panels:
            top += _BETWEEN
            axes = sheet.axes(left, top, _WIDTH, _PANEL, sharex=every[0])
            panel.draw(axes, theme, record.epochs)
            axes.tick_params(labelbottom=panel is panels[-1])
            every.append(axes)
            top += _PANEL
        every[-1].set_xlabel("epoch")
        every[-1].xaxis.get_major_locator().set_params(integer=True, nbins=10)
        _mark_settled(every, record, theme)
        lines = [*_texts(model), widths.text]
        sheet.heading(_MARGIN, model.name, lines, theme)
        save(sheet.figure, path)
    return sheet.figure


def _scale(sheet, mesh, right, theme):
    """A bar of colours above the map, at its right end."""
    width, height = 1.1, 0.08
    axes = sheet.axes(right - width, _HEAD - 0.14, width, height)
    bar = sheet.figure.colorbar(mesh, cax=axes, orientation="horizontal")
    bar.set_ticks([0, 0.5, 1], labels=["0", "width / full", "1"], fontsize=7)
    axes.xaxis.set_ticks_position("top")
    axes.tick_params(length=0, pad=1)
    bar.outline.set_visible(False)


def _mark_settled(every, record, theme):
    if record.settled_at is None:
        return
    for axes in every:
        axes.axvline(
            record.settled_at,
            color=theme.settled,
            linewidth=1.4,
            gid="settled",
            zorder=5,
        )
    is_late = record.settled_at > 0.85 * record.epochs
    every[0].annotate(
        "settled",
        (record.settled_at, 1),
        (0, 3),
        xycoords=every[0].get_xaxis_transform(),
        textcoords="offset points",
        ha="right" if is_late else "left",
        va="bottom",
        fontsize=8,
        color=theme.settled,
    )


def _texts(model):
    lines = [structure_text(model, model.structure)]
    spent = model.ledger.relative_training_flops()
    if not math.isnan(spent):
        lines.append(
            f"training so far: {spent:.1%} of the FLOPs that training the full "
            "network takes"
        )
    return lines

"""A moving picture of a network that grows."""

import numbers

import numpy as np

from keras_growprune.training.growing_model import trained_model
from keras_growprune.visualization.curves import cost_panel
from keras_growprune.visualization.curves import metric_panels
from keras_growprune.visualization.figure import Sheet
from keras_growprune.visualization.figure import check_ending
from keras_growprune.visualization.figure import drawing
from keras_growprune.visualization.growth_motion import GrowthMotion
from keras_growprune.visualization.growth_record import GrowthRecord
from keras_growprune.visualization.moving_picture import MOVING_PICTURES
from keras_growprune.visualization.moving_picture import frames
from keras_growprune.visualization.moving_picture import save_frames
from keras_growprune.visualization.network_rows import NetworkRows
from keras_growprune.visualization.structure_drawing import StructureDrawing
from keras_growprune.visualization.theme import theme_named

_MARGIN, _HEAD, _FOOT = 0.2, 0.7, 0.45
_BARS, _CURVES, _AXIS = 2.4, 2.6, 0.45
_BETWEEN, _LEAST = 0.45, 3.4
# Milliseconds: of about each frame, and of the last one.
_FRAME, _HOLD = 80, 2000


def animate_growth(
    model_or_history, path="growth.gif", theme="light", seconds=8
):
    """Writes a moving picture of a network that grows and is pruned.

    On the left the drawing of `plot_structure` moves from epoch to epoch, on
    the right grow the curves of the cost and of a metric (not the loss, where
    there is another one). It starts with the seed network, holds its end for
    two seconds and begins anew.

    Args:
        model_or_history: A trained `GrowPruneModel`, a model that has one
            among its layers, or the `keras.callbacks.History` of either.
        path: File to write, ending in `.gif` or `.webp`.
        theme: `"light"` or `"dark"`.
        seconds: Positive number, how long the run takes, without the two
            seconds at its end.

    Returns:
        `path`.

    Raises:
        ValueError: If there is no `GrowPruneModel`, it has not been trained,
            or another argument is invalid.
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
    model.fit(images, labels, epochs=4, verbose=0)
    kgp.animate_growth(model, "growth.gif", seconds=4)
    ```
    """
    theme = theme_named(theme)
    if path is None:
        path = ""
    check_ending(path, MOVING_PICTURES)
    _check_seconds(seconds)
    model = trained_model(model_or_history)
    record, network = GrowthRecord(model), NetworkRows(model)
    motion = GrowthMotion(network, record)
    count = max(1, round(1000 * seconds / _FRAME))
    with drawing(theme):
        stage = _Stage(model, record, network, theme)

        def show(moment):
            stage.show(moment, *motion.at(moment))

        moments = np.linspace(0, record.epochs, count + 1)
        images = frames(stage.sheet.figure, stage.moving, moments, show)
    # GIFs count hundredths of a second: rounded sums, so that none adds up.
    times = 10 * np.rint(np.linspace(0, 100 * seconds, count + 1)).astype(int)
    durations = [*np.diff(times).tolist(), _HOLD]
    save_frames(images, durations, path, theme.colors())
    return path


def _check_seconds(seconds):
    is_number = isinstance(seconds, numbers.Real)
    if isinstance(seconds, bool) or not (is_number and 0 < seconds <= 600):
        raise ValueError(
            "Argument `seconds` must be a positive number, at most 600. "
            f"Received: seconds={seconds!r}"
        )


class _Stage:
    """The figure, and what moves in it."""

    def __init__(self, model, record, network, theme):
        self._record = record
        row_height = float(np.clip(5.2 / len(network.rows), 0.135, 0.36))
        self._drawing = StructureDrawing(network, theme, row_height, _BARS)
        panels = [
            cost_panel(model, record, theme),
            *metric_panels(record, theme, most=1),
        ]
        right = max(panel.right() for panel in panels)
        height = max(self._drawing.height, _LEAST)
        left = self._drawing.width + 2 * _MARGIN + _AXIS
        self.sheet = Sheet(
            left + _CURVES + right + _MARGIN, _HEAD + height + _FOOT
        )
        axes = self.sheet.axes(
            _MARGIN, _HEAD, self._drawing.width, self._drawing.height
        )
        self._drawing.draw(axes)
        self._drawing.legend()
        self._lines, self._marks = [], []
        self._draw_curves(panels, left, min(height, 6.0), theme)
        text = self.sheet.text
        text(_MARGIN, 0.14, model.name, fontsize=11, weight="bold")
        self._word = text(left, 0.14, "", fontsize=11, weight="bold")
        self.moving = [
            *self._drawing.moving,
            *self._marks,
            *[artist for _, *artists in self._lines for artist in artists],
            self._word,
        ]

    def _draw_curves(self, panels, left, height, theme):
        room = (height + _HEAD - 0.75 + _BETWEEN) / len(panels)
        for index, panel in enumerate(panels):
            top = 0.75 + index * room
            axes = self.sheet.axes(left, top, _CURVES, room - _BETWEEN)
            artists = panel.draw(axes, theme, self._record.epochs)
            for line, (stroke, label) in zip(panel.lines, artists):
                (head,) = axes.plot(
                    [], [], "o", color=line.color, markersize=5, clip_on=False
                )
                self._lines.append((line, stroke, label, head))
            axes.xaxis.get_major_locator().set_params(integer=True, nbins=8)
            if self._record.settled_at is not None:
                self._marks.append(
                    axes.axvline(
                        self._record.settled_at,
                        color=theme.settled,
                        linewidth=1.4,
                    )
                )
        axes.set_xlabel("epoch")

    def show(self, moment, widths, gates, word):
        self._drawing.show(widths, gates)
        for line, stroke, label, head in self._lines:
            x, y = line.until(moment)
            stroke.set_data(x, y)
            label.set_text(line.label(moment))
            is_moving = len(x) and not line.given
            head.set_data(
                x[-1:] if is_moving else [], y[-1:] if is_moving else []
            )
        for mark in self._marks:
            mark.set_visible(moment >= self._record.settled_at)
        epochs = round(self._record.epochs)
        epoch = min(int(moment) + 1, epochs)
        self._word.set_text(f"epoch {epoch} of {epochs}: {word}")

"""A drawing of the network as it is."""

import numpy as np

from keras_growprune.training.growing_model import growing_model
from keras_growprune.training.validation import checked_structure
from keras_growprune.visualization.figure import PICTURES
from keras_growprune.visualization.figure import Sheet
from keras_growprune.visualization.figure import check_ending
from keras_growprune.visualization.figure import drawing
from keras_growprune.visualization.figure import save
from keras_growprune.visualization.network_rows import NetworkRows
from keras_growprune.visualization.structure_drawing import StructureDrawing
from keras_growprune.visualization.structure_text import structure_text
from keras_growprune.visualization.theme import theme_named

_MARGIN, _HEAD, _FOOT = 0.25, 0.95, 0.2


def plot_structure(model, path=None, theme="light", structure=None):
    """Draws each layer's width now, in the seed and in the full network.

    One row for each layer that makes channels, from the input at the top to
    the output at the bottom. The bar's outline is the full width, the solid
    part the present one, and two ticks are the seed's. Bars of layers whose
    width cannot change are grey. An arc spans the layers that may leave with
    a gated layer; where they have left, it is broken and they are marked.

    Lengths are widths; where the widest layer is more than 12 times as wide
    as others, they are square roots of widths. The picture says which.

    Args:
        model: A `GrowPruneModel`, or one that has it among its layers.
        path: File to write, ending in `.png`, `.svg`, `.pdf`, `.jpg` or
            `.webp`. Defaults to `None`: none.
        theme: `"light"` or `"dark"`.
        structure: A `Structure` of this network. Defaults to `None`: the
            present one.

    Returns:
        A `matplotlib.figure.Figure`, which notebooks show.

    Raises:
        ValueError: If there is no `GrowPruneModel`, the structure is none of
            its own, or `path` or `theme` is unknown.
        ImportError: If matplotlib is not installed.

    Example:

    ```python
    import keras_growprune as kgp

    network = kgp.models.resnet(depth=20)
    model = kgp.GrowPruneModel(*network, budget=kgp.Budget(flops=0.5))
    figure = kgp.plot_structure(model, "seed.png")
    ```
    """
    theme = theme_named(theme)
    check_ending(path, PICTURES)
    model = growing_model(model)
    if structure is None:
        structure = model.structure
    structure = checked_structure(structure, model._growth.network)
    with drawing(theme):
        network = NetworkRows(model)
        # Long networks get lower rows, down to what can be read.
        row_height = float(np.clip(14 / len(network.rows), 0.14, 0.25))
        picture = StructureDrawing(network, theme, row_height)
        width = max(picture.width + 2 * _MARGIN, 6.2)
        sheet = Sheet(width, _HEAD + picture.height + _FOOT)
        axes = sheet.axes(_MARGIN, _HEAD, picture.width, picture.height)
        picture.draw(axes)
        _, gates = model._growth.blueprint.map.live(structure)
        picture.show(network.widths(structure), gates)
        lines = [structure_text(model, structure), picture.scale_text]
        if network.branches:
            lines[1] += "; arc: layers that may leave together"
            lines[1] += "" if all(gates) else " (out: they have left)"
        sheet.heading(_MARGIN, model.name, lines, theme)
        picture.legend()
        save(sheet.figure, path)
    return sheet.figure

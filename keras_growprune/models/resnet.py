"""Residual networks for small images."""

import keras

from keras_growprune.models.building_blocks import BuildingBlocks
from keras_growprune.models.building_blocks import blocks_of_depth


def resnet(
    input_shape=(32, 32, 3),
    classes=10,
    depth=20,
    width=1.0,
    growable=True,
    weight_decay=0.0,
):
    """Residual network for small images (He et al., CVPR 2016, section 4.2).

    Three stages of 16, 32 and 64 filters with `(depth - 2) / 6` blocks each.
    Where a stage begins, the shortcut is a strided 1 x 1 convolution, so that
    the widths of two stages do not depend on each other.

    Args:
        input_shape: Shape of an image. Defaults to `(32, 32, 3)`.
        classes: Number of classes; the outputs are logits. Defaults to 10.
        depth: 6n + 2: 20 (default), 32, 44, 56, ...
        width: Factor on all widths. Defaults to 1.0.
        growable: Whether to use growable layers. Without, the network is the
            plain twin. Defaults to `True`.
        weight_decay: Factor of the L2 penalty on convolution and dense
            kernels. Defaults to 0.0.

    Returns:
        `(inputs, outputs)`, for `GrowPruneModel` or `keras.Model`.

    Raises:
        ValueError: If `depth` is not 6n + 2, or `width` no positive number.

    Example:

    ```python
    inputs, outputs = kgp.models.resnet(depth=20)
    model = kgp.GrowPruneModel(inputs, outputs, kgp.Budget(flops=0.5))
    model.output_shape  # (None, 10)
    ```
    """
    blocks = blocks_of_depth(depth, others=2)
    make = BuildingBlocks(width, growable, weight_decay)
    inputs = keras.Input(input_shape)
    x = make.norm_relu(make.convolution(inputs, 16, 3))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            y = make.norm_relu(make.convolution(x, filters, 3, strides))
            y = make.norm(make.convolution(y, filters, 3))
            if strides > 1:  # the shape changes: this block has to stay
                x = make.norm(make.convolution(x, filters, 1, strides))
                x = keras.layers.Add()([x, y])
            else:
                x = make.add(x, y)
            x = keras.layers.ReLU()(x)
    return inputs, make.classifier(x, classes)

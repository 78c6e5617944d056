"""Wide residual networks for small images."""

import keras

from keras_growprune.models.building_blocks import BuildingBlocks
from keras_growprune.models.building_blocks import blocks_of_depth
from keras_growprune.models.building_blocks import check_factor


def wide_resnet(
    input_shape=(32, 32, 3),
    classes=10,
    depth=28,
    widening=10,
    width=1.0,
    growable=True,
    weight_decay=0.0,
):
    """Wide residual network (Zagoruyko and Komodakis, BMVC 2016).

    Norms and activations come before the convolutions. Three stages of 16, 32
    and 64 filters, times `widening`, with `(depth - 4) / 6` blocks each. The
    first block of a stage changes the shape and has to stay.

    Args:
        input_shape: Shape of an image. Defaults to `(32, 32, 3)`.
        classes: Number of classes; the outputs are logits. Defaults to 10.
        depth: 6n + 4: 16, 22, 28 (default), 40, ...
        widening: Factor on the widths of the stages (the paper's k). Defaults
            to 10.
        width: Factor on all widths, the first convolution's too. Defaults to
            1.0.
        growable: Whether to use growable layers. Without, the network is the
            plain twin. Defaults to `True`.
        weight_decay: Factor of the L2 penalty on convolution and dense
            kernels. Defaults to 0.0.

    Returns:
        `(inputs, outputs)`, for `GrowPruneModel` or `keras.Model`.

    Raises:
        ValueError: If `depth` is not 6n + 4, or `widening` or `width` no
            positive number.

    Example:

    ```python
    inputs, outputs = kgp.models.wide_resnet(depth=16, widening=4)
    model = kgp.GrowPruneModel(inputs, outputs, kgp.Budget(flops=0.3))
    ```
    """
    check_factor("widening", widening)
    blocks = blocks_of_depth(depth, others=4)
    make = BuildingBlocks(width, growable, weight_decay)
    inputs = keras.Input(input_shape)
    x = make.convolution(inputs, 16, 3)
    for stage, filters in enumerate((16, 32, 64)):
        filters = filters * widening
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            active = make.norm_relu(x)
            y = make.convolution(active, filters, 3, strides)
            y = make.convolution(make.norm_relu(y), filters, 3)
            if block:
                x = make.add(x, y)
            else:
                x = make.convolution(active, filters, 1, strides)
                x = keras.layers.Add()([x, y])
    return inputs, make.classifier(make.norm_relu(x), classes)

"""Residual networks of bottlenecks, for large images."""

import keras

from keras_growprune.models.building_blocks import BuildingBlocks

_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_EXPANSION = 4


def bottleneck_resnet(
    input_shape=(224, 224, 3),
    classes=1000,
    depth=50,
    width=1.0,
    growable=True,
    weight_decay=0.0,
):
    """ResNet-50, -101 or -152 (He et al., CVPR 2016), for large images.

    A 7 x 7 convolution and four stages of blocks: a 1 x 1 convolution to 64,
    128, 256 and 512 filters, a 3 x 3 convolution, and a 1 x 1 convolution to
    four times as many. Strides are in the 3 x 3 convolutions, as in most
    published results (4.1 G multiply-adds for ResNet-50); in the paper they
    are in the 1 x 1 convolutions before (3.8 G). The first block of a stage
    changes the shape and has to stay, the others may leave.

    Args:
        input_shape: Shape of an image. Defaults to `(224, 224, 3)`.
        classes: Number of classes; the outputs are logits. Defaults to 1000.
        depth: 50 (default), 101 or 152.
        width: Factor on all widths. Defaults to 1.0.
        growable: Whether to use growable layers. Without, the network is the
            plain twin. Defaults to `True`.
        weight_decay: Factor of the L2 penalty on convolution and dense
            kernels. Defaults to 0.0.

    Returns:
        `(inputs, outputs)`, for `GrowPruneModel` or `keras.Model`.

    Raises:
        ValueError: If `depth` is none of these, or `width` no positive number.

    Example:

    ```python
    network = kgp.models.bottleneck_resnet((64, 64, 3), classes=10)
    model = kgp.GrowPruneModel(*network, kgp.Budget(flops=0.5))
    model.output_shape  # (None, 10)
    ```
    """
    if depth not in list(_BLOCKS):  # which need not be hashable
        raise ValueError(
            f"Argument `depth` must be one of {list(_BLOCKS)}. Received: "
            f"depth={depth!r}. Networks of other depths are "
            "`kgp.models.resnet`, for small images."
        )
    make = BuildingBlocks(width, growable, weight_decay)
    inputs = keras.Input(input_shape)
    x = make.norm_relu(make.convolution(inputs, 64, 7, 2))
    x = keras.layers.MaxPooling2D(3, 2, padding="same")(x)
    for stage, blocks in enumerate(_BLOCKS[depth]):
        filters = 64 * 2**stage
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            y = make.norm_relu(make.convolution(x, filters, 1))
            y = make.norm_relu(make.convolution(y, filters, 3, strides))
            y = make.norm(make.convolution(y, _EXPANSION * filters, 1))
            if block:
                x = make.add(x, y)
            else:
                x = make.convolution(x, _EXPANSION * filters, 1, strides)
                x = keras.layers.Add()([make.norm(x), y])
            x = keras.layers.ReLU()(x)
    return inputs, make.classifier(x, classes)

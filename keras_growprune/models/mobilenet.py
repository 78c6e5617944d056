"""The network of depthwise separable convolutions, for large images."""

import keras

from keras_growprune.models.building_blocks import BuildingBlocks

# Filters and strides of the pointwise and depthwise convolutions.
_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


def mobilenet(
    input_shape=(224, 224, 3),
    classes=1000,
    width=1.0,
    growable=True,
    weight_decay=0.0,
):
    """MobileNet (Howard et al., 2017, "MobileNets"), the first version.

    A 3 x 3 convolution and thirteen pairs of a depthwise 3 x 3 and a pointwise
    convolution, a norm after each. A depthwise filter lives and leaves with
    the channel that it filters.

    Args:
        input_shape: Shape of an image. Defaults to `(224, 224, 3)`.
        classes: Number of classes; the outputs are logits. Defaults to 1000.
        width: Factor on all widths (the paper's alpha). Defaults to 1.0.
        growable: Whether to use growable layers. Without, the network is the
            plain twin. Defaults to `True`.
        weight_decay: Factor of the L2 penalty on the kernels of convolutions
            and of the dense layer, not of depthwise ones. Defaults to 0.0.

    Returns:
        `(inputs, outputs)`, for `GrowPruneModel` or `keras.Model`.

    Raises:
        ValueError: If `width` is no positive number.

    Example:

    ```python
    network = kgp.models.mobilenet((96, 96, 3), classes=10, width=0.5)
    model = kgp.GrowPruneModel(*network, kgp.Budget(flops=0.5))
    model.output_shape  # (None, 10)
    ```
    """
    make = BuildingBlocks(width, growable, weight_decay)
    inputs = keras.Input(input_shape)
    x = make.norm_relu(make.convolution(inputs, 32, 3, 2))
    for filters, strides in _BLOCKS:
        x = keras.layers.DepthwiseConv2D(
            3,
            strides=strides,
            padding="same",
            use_bias=False,
            depthwise_initializer="he_normal",
        )(x)
        x = make.norm_relu(make.convolution(make.norm_relu(x), filters, 1))
    return inputs, make.classifier(x, classes)

"""The plain network of the field, with batch norm."""

import keras

from keras_growprune.models.building_blocks import BuildingBlocks

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def vgg16(
    input_shape=(32, 32, 3),
    classes=10,
    width=1.0,
    growable=True,
    skips=True,
    weight_decay=0.0,
):
    """VGG-16 for small images, with batch norm and a single dense layer.

    Thirteen convolutions (Simonyan and Zisserman, ICLR 2015, configuration D)
    with a norm after each, and one dense layer instead of three, as it is
    used on CIFAR.

    Args:
        input_shape: Shape of an image. Defaults to `(32, 32, 3)`.
        classes: Number of classes; the outputs are logits. Defaults to 10.
        width: Factor on all widths. Defaults to 1.0.
        growable: Whether to use growable layers. Without, the network is the
            plain twin. Defaults to `True`.
        skips: Whether a layer of the growable network may leave where its
            input and its output have the same shape. The layers of a stage
            then have their units in common, which is what lets one replace
            the other. Defaults to `True`.
        weight_decay: Factor of the L2 penalty on convolution and dense
            kernels. Defaults to 0.0.

    Returns:
        `(inputs, outputs)`, for `GrowPruneModel` or `keras.Model`.

    Raises:
        ValueError: If `width` is no positive number.

    Example:

    ```python
    inputs, outputs = kgp.models.vgg16()
    model = kgp.GrowPruneModel(inputs, outputs, kgp.Budget(flops=0.15))
    ```
    """
    make = BuildingBlocks(width, growable, weight_decay)
    inputs = x = keras.Input(input_shape)
    before = None
    for filters, convolutions in _STAGES:
        for _ in range(convolutions):
            y = make.norm_relu(make.convolution(x, filters, 3))
            keeps_shape = filters == before
            x = make.skip(x, y) if skips and keeps_shape else y
            before = filters
        x = keras.layers.MaxPooling2D(padding="same")(x)
    return inputs, make.classifier(x, classes)

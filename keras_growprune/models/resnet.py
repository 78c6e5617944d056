"""Residual networks for small images."""

import keras

from keras_growprune.layers import GatedAdd
from keras_growprune.layers import GrowableConv2D


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
        input_shape: Shape of an image.
        classes: Number of classes; the outputs are logits.
        depth: 6n + 2: 20, 32, 44, 56, ...
        width: Factor on all widths.
        growable: Whether to use growable layers. Without, the network is the
            plain twin.
        weight_decay: Factor of the L2 penalty on convolution and dense
            kernels.

    Returns:
        `(inputs, outputs)`, for `GrowPruneModel` or `keras.Model`.

    Raises:
        ValueError: If `depth` is not 6n + 2.

    Example:

    ```python
    inputs, outputs = kgp.models.resnet(depth=20)
    model = kgp.GrowPruneModel(inputs, outputs, kgp.Budget(flops=0.5))
    ```
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ValueError(
            "Argument `depth` must be 6n + 2 (8, 14, 20, 32, 56, ...). "
            f"Received: depth={depth}"
        )
    penalty = keras.regularizers.L2(weight_decay) if weight_decay else None
    layer_class = GrowableConv2D if growable else keras.layers.Conv2D

    def convolution(x, filters, size, strides=1, activate=True):
        x = layer_class(
            max(1, round(filters * width)),
            size,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=penalty,
        )(x)
        # Keras's own momentum of 0.99 suits long trainings only.
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
        return keras.layers.ReLU()(x) if activate else x

    inputs = keras.Input(input_shape)
    x = convolution(inputs, 16, 3)
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            y = convolution(x, filters, 3, strides)
            y = convolution(y, filters, 3, activate=False)
            if strides > 1:  # the shape changes: this block has to stay
                x = convolution(x, filters, 1, strides, activate=False)
                x = keras.layers.Add()([x, y])
            else:
                add = GatedAdd() if growable else keras.layers.Add()
                x = add([x, y])
            x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(classes, kernel_regularizer=penalty)(x)
    return inputs, outputs

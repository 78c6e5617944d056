"""A small network for semantic segmentation, from scratch."""

import keras

from keras_growprune.models.building_blocks import BuildingBlocks
from keras_growprune.models.building_blocks import check_counts
from keras_growprune.models.building_blocks import check_size_of_images


def unet(
    input_shape=(128, 128, 3),
    classes=10,
    filters=16,
    levels=4,
    width=1.0,
    growable=True,
    weight_decay=0.0,
):
    """U-Net (Ronneberger et al., MICCAI 2015), with norms and same padding.

    Two 3 x 3 convolutions on each level on the way down, between them pooling;
    on the way up bilinear interpolation, a 3 x 3 convolution, and two more on
    what it yields beside the features of this level from the way down.

    Args:
        input_shape: Shape of an image: multiples of `2 ** levels`. Defaults to
            `(128, 128, 3)`.
        classes: Number of classes; the outputs are logits for each pixel.
            Defaults to 10.
        filters: Filters of the first level; each further one has twice as
            many. Defaults to 16; the paper has 64.
        levels: How often the resolution is halved. Defaults to 4.
        width: Factor on all widths. Defaults to 1.0.
        growable: Whether to use growable layers. Without, the network is the
            plain twin. Defaults to `True`.
        weight_decay: Factor of the L2 penalty on kernels. Defaults to 0.0.

    Returns:
        `(inputs, outputs)`, for `GrowPruneModel` or `keras.Model`. Outputs
        have the shape `(batch, height, width, classes)`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    network = kgp.models.unet((32, 32, 3), classes=3, levels=2)
    model = kgp.GrowPruneModel(*network, kgp.Budget(flops=0.5))
    model.output_shape  # (None, 32, 32, 3)
    ```
    """
    size = check_size_of_images(input_shape)
    check_counts(classes=classes, filters=filters, levels=levels)
    if any(each % 2**levels for each in size):
        raise ValueError(
            f"Argument `input_shape` must have multiples of {2**levels} "
            f"(2 ** levels). Received: input_shape={input_shape}, "
            f"levels={levels}"
        )
    make = BuildingBlocks(width, growable, weight_decay)

    def twice(x, filters):
        for _ in range(2):
            x = make.norm_relu(make.convolution(x, filters, 3))
        return x

    inputs = x = keras.Input(input_shape)
    beside = []
    for level in range(levels):
        x = twice(x, filters * 2**level)
        beside.append(x)
        x = keras.layers.MaxPooling2D()(x)
    x = twice(x, filters * 2**levels)
    for level in reversed(range(levels)):
        x = keras.layers.UpSampling2D(interpolation="bilinear")(x)
        x = make.norm_relu(make.convolution(x, filters * 2**level, 3))
        x = keras.layers.Concatenate()([beside[level], x])
        x = twice(x, filters * 2**level)
    return inputs, make.classifier_of_pixels(x, classes)

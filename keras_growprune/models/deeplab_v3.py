"""A network for semantic segmentation, on the body of a classifier."""

import keras

from keras_growprune.models.bottleneck_resnet import bottleneck_resnet
from keras_growprune.models.building_blocks import BuildingBlocks
from keras_growprune.models.building_blocks import check_counts
from keras_growprune.models.building_blocks import check_size_of_images
from keras_growprune.models.dilated import dilated_features

# Dilations of the three branches, where features are 16 times smaller.
_RATES = (6, 12, 18)


def deeplab_v3(
    input_shape=(513, 513, 3),
    classes=21,
    depth=50,
    backbone=None,
    output_stride=16,
    filters=256,
    width=1.0,
    growable=True,
    weight_decay=0.0,
):
    """DeepLabV3 (Chen et al., 2017, "Rethinking atrous convolution").

    A classifier's body in which dilation takes the place of the last strides;
    atrous spatial pyramid pooling, which looks at its features with a 1 x 1,
    three dilated 3 x 3 convolutions and a pooling of the whole image; a 1 x 1
    convolution to logits, and bilinear interpolation to the image's size. All
    convolutions but the last one grow, and blocks of the body may leave.

    Args:
        input_shape: Shape of an image. Defaults to `(513, 513, 3)`.
        classes: Number of classes; the outputs are logits for each pixel.
            Defaults to 21, those of PASCAL VOC.
        depth: Depth of the body, a `bottleneck_resnet`: 50 (default), 101 or
            152.
        backbone: Instead, a functional `keras.Model` for classification of
            images of any size, such as what `compact()` returned. What comes
            before its last global pooling is copied with its weights, into
            layers `backbone_...`. Its layers must have `padding="same"`, and
            learn best where features have odd sizes (such as 225, 113, 57,
            ...), as they have here. Defaults to `None`.
        output_stride: Size of an image over the size of the features: 8, 16
            (default) or 32.
        filters: Filters of each branch. Defaults to 256.
        width: Factor on all widths but those of a `backbone`. Defaults to
            1.0.
        growable: Whether to use growable layers. Without, the network is the
            plain twin. A `backbone` has the layers that it has: see
            `kgp.growable`. Defaults to `True`.
        weight_decay: Factor of the L2 penalty on kernels, but for those of a
            `backbone`. Defaults to 0.0.

    Returns:
        `(inputs, outputs)`, for `GrowPruneModel` or `keras.Model`. Outputs
        have the shape `(batch, height, width, classes)`.

    Raises:
        ValueError: If an argument is invalid, or the backbone cannot have
            this output stride.

    Example:

    ```python
    network = kgp.models.deeplab_v3((65, 65, 3), classes=10, width=0.25)
    model = kgp.GrowPruneModel(*network, kgp.Budget(flops=0.5))
    model.output_shape  # (None, 65, 65, 10)
    ```

    With what a classifier has learned, such as one that has grown:

    ```python
    classifier = kgp.GrowPruneModel(
        *kgp.models.mobilenet((64, 64, 3), classes=10, width=0.25),
        kgp.Budget(flops=0.5),
    )
    body = classifier.compact()
    network = kgp.models.deeplab_v3((65, 65, 3), classes=5, backbone=body)
    model = kgp.growable(
        keras.Model(*network), kgp.Budget(flops=0.5), start="weights"
    )
    model.output_shape  # (None, 65, 65, 5)
    ```
    """
    if output_stride not in (8, 16, 32):
        raise ValueError(
            "Argument `output_stride` must be 8, 16 or 32. Received: "
            f"output_stride={output_stride!r}"
        )
    check_counts(classes=classes, filters=filters)
    size = check_size_of_images(input_shape)
    make = BuildingBlocks(width, growable, weight_decay)
    inputs = keras.Input(input_shape)
    if backbone is None:
        backbone = keras.Model(
            *bottleneck_resnet(
                input_shape,
                depth=depth,
                width=width,
                growable=growable,
                weight_decay=weight_decay,
            )
        )
    x = dilated_features(backbone, inputs, output_stride)
    branches = [make.norm_relu(make.convolution(x, filters, 1))]
    for rate in _RATES:
        rate = max(1, rate * 16 // output_stride)
        y = make.convolution(x, filters, 3, dilation_rate=rate)
        branches.append(make.norm_relu(y))
    y = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = make.norm_relu(make.convolution(y, filters, 1))
    # Of one pixel, interpolation makes copies.
    branches.append(keras.layers.UpSampling2D(x.shape[1:3])(y))
    x = keras.layers.Concatenate()(branches)
    x = make.norm_relu(make.convolution(x, filters, 1))
    x = make.classifier_of_pixels(x, classes)
    return inputs, keras.layers.Resizing(*size, dtype=x.dtype)(x)

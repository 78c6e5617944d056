"""What the networks are made of: growable layers, or their plain twins."""

import numbers

import keras

from keras_growprune.layers import GatedAdd
from keras_growprune.layers import GatedSkip
from keras_growprune.layers import GrowableConv2D
from keras_growprune.layers.growable import is_count
from keras_growprune.layers.growable import is_number


def logits_dtype():
    """That of weights: under mixed precision a loss wants more than 16 bits."""
    return keras.config.dtype_policy().variable_dtype


def check_factor(name, value):
    """Checks a factor on widths."""
    if not (is_number(value) and value > 0):
        raise ValueError(
            f"Argument `{name}` must be a positive number. Received: "
            f"{name}={value!r}"
        )


def check_counts(**counts):
    """Checks numbers of classes, filters and the like."""
    for name, value in counts.items():
        if not is_count(value):
            raise ValueError(
                f"Argument `{name}` must be a positive integer. Received: "
                f"{name}={value!r}"
            )


def check_size_of_images(input_shape):
    """The height and the width of images, which must be known."""
    is_shape = isinstance(input_shape, (list, tuple))
    size = tuple(input_shape)[:2] if is_shape else ()
    if len(size) != 2 or len(input_shape) != 3 or None in size:
        raise ValueError(
            "Argument `input_shape` must be (height, width, channels) of a "
            f"fixed size. Received: input_shape={input_shape!r}"
        )
    return size


def blocks_of_depth(depth, others):
    """Blocks in each of three stages of a residual network.

    Args:
        depth: Layers of the network.
        others: How many of them are outside of the stages. Each block has two
            layers.

    Returns:
        A positive integer.
    """
    is_integer = isinstance(depth, numbers.Integral)
    blocks, rest = divmod(depth - others, 6) if is_integer else (0, 0)
    if rest or blocks < 1:
        depths = ", ".join(str(6 * n + others) for n in (1, 2, 3, 5, 9))
        raise ValueError(
            f"Argument `depth` must be an integer 6n + {others} ({depths}, "
            f"...). Received: depth={depth!r}"
        )
    return blocks


class BuildingBlocks:
    """Layers of one network.

    Args:
        width: Factor on all numbers of filters.
        growable: Whether to use growable layers, or plain Keras layers.
        weight_decay: Factor of the L2 penalty on convolution and dense
            kernels.

    Raises:
        ValueError: If the width is no positive number.
    """

    def __init__(self, width=1.0, growable=True, weight_decay=0.0):
        check_factor("width", width)
        self._width = width
        self._growable = growable
        self._penalty = (
            keras.regularizers.L2(weight_decay) if weight_decay else None
        )

    def convolution(self, x, filters, size, strides=1, dilation_rate=1):
        """Convolution without bias: a norm follows somewhere."""
        layer = GrowableConv2D if self._growable else keras.layers.Conv2D
        return layer(
            max(1, round(filters * self._width)),
            size,
            strides=strides,
            dilation_rate=dilation_rate,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=self._penalty,
        )(x)

    def norm(self, x):
        # Keras's own momentum of 0.99 suits long trainings only.
        return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)

    def norm_relu(self, x):
        return keras.layers.ReLU()(self.norm(x))

    def add(self, shortcut, branch):
        """Residual sum; in a growable network the branch may leave."""
        layer = GatedAdd if self._growable else keras.layers.Add
        return layer()([shortcut, branch])

    def skip(self, shortcut, branch):
        """The branch; in a growable network the shortcut may replace it."""
        return GatedSkip()([shortcut, branch]) if self._growable else branch

    def classifier(self, x, classes):
        """Global average pooling and a dense layer; returns logits."""
        check_counts(classes=classes)
        x = keras.layers.GlobalAveragePooling2D()(x)
        return keras.layers.Dense(
            classes, kernel_regularizer=self._penalty, dtype=logits_dtype()
        )(x)

    def classifier_of_pixels(self, x, classes):
        """A 1 x 1 convolution; returns logits."""
        return keras.layers.Conv2D(
            classes, 1, kernel_regularizer=self._penalty, dtype=logits_dtype()
        )(x)

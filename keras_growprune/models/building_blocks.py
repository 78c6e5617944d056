"""What the networks are made of: growable layers, or their plain twins."""

import keras

from keras_growprune.layers import GatedAdd
from keras_growprune.layers import GatedSkip
from keras_growprune.layers import GrowableConv2D


class BuildingBlocks:
    """Layers of one network.

    Args:
        width: Factor on all numbers of filters.
        growable: Whether to use growable layers, or plain Keras layers.
        weight_decay: Factor of the L2 penalty on convolution and dense
            kernels.
    """

    def __init__(self, width=1.0, growable=True, weight_decay=0.0):
        self._width = width
        self._growable = growable
        self._penalty = (
            keras.regularizers.L2(weight_decay) if weight_decay else None
        )

    def convolution(self, x, filters, size, strides=1):
        """Convolution without bias: a norm follows somewhere."""
        layer = GrowableConv2D if self._growable else keras.layers.Conv2D
        return layer(
            max(1, round(filters * self._width)),
            size,
            strides=strides,
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
        x = keras.layers.GlobalAveragePooling2D()(x)
        return keras.layers.Dense(classes, kernel_regularizer=self._penalty)(x)

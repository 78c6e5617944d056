"""A part of a plain network that the identity may replace."""

import keras
from keras import ops

from keras_growprune.layers.factors import factor_on
from keras_growprune.layers.gated_pair import GatedPair
from keras_growprune.structure import register_axes


@keras.saving.register_keras_serializable(package="keras_growprune")
class GatedSkip(GatedPair):
    """`branch`, which may leave the network so that `shortcut` takes its place.

    What `GatedAdd` is to residual networks, this is to plain ones: inside a
    `GrowPruneModel` it is a gate on the layers between its two inputs. While
    it is off, nothing of them is computed, stored on the device or trained,
    and the output is the shortcut. In any other model the layer returns the
    branch.

    A branch of one growable layer without strides, a batch norm or none, and a
    ReLU or none starts as the identity where it comes for the first time, so
    that it does not disturb what the network has learned. (A ReLU repeats
    what another ReLU has let through.)

    Both inputs have the same units: the k-th channel of one takes the place of
    the k-th channel of the other.

    Args:
        **kwargs: As in `keras.layers.Layer`: `name`, `dtype` and so on.

    Call arguments:
        inputs: A list `[shortcut, branch]` of two tensors of equal shape, of
            which the second is computed from the first.

    Returns:
        A tensor of the same shape.

    Raises:
        ValueError: If the inputs are not two tensors of equal shape.

    Example:

    ```python
    inputs = keras.Input((28, 28, 1))
    x = kgp.layers.GrowableConv2D(64, 3, activation="relu")(inputs)
    y = kgp.layers.GrowableConv2D(64, 3, padding="same", use_bias=False)(x)
    y = keras.layers.ReLU()(keras.layers.BatchNormalization()(y))
    x = kgp.layers.GatedSkip()([x, y])  # x may take the place of y
    x.shape  # (None, 26, 26, 64)
    ```
    """

    def call(self, inputs):
        shortcut, branch = inputs
        factor = factor_on(self)
        if factor is None:  # the branch itself, not a rounded sum
            return branch
        return ops.add(shortcut, factor(ops.subtract(branch, shortcut)))

    def call_plain(self, shortcut, branch, factor=1.0):
        """The same with plain Keras layers.

        Args:
            shortcut, branch: Keras tensors.
            factor: Float, how much of the branch there is. Defaults to 1.0.

        Returns:
            A Keras tensor.
        """
        if factor == 1:
            return branch
        policy = {"dtype": self.dtype_policy}
        rest, gate = (
            keras.layers.Rescaling(scale, name=f"{self.name}_{name}", **policy)
            for name, scale in (("rest", 1 - factor), ("gate", factor))
        )
        add = keras.layers.Add(name=self.name, **policy)
        return add([rest(shortcut), gate(branch)])


register_axes(GatedSkip, channels="skip")

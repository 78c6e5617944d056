"""Residual sum whose branch may leave the network."""

import keras
from keras import ops

from keras_growprune.layers.factors import factor_on
from keras_growprune.layers.gated_pair import GatedPair
from keras_growprune.structure import register_axes


@keras.saving.register_keras_serializable(package="keras_growprune")
class GatedAdd(GatedPair):
    """`shortcut + branch`, where the branch may leave the network.

    Inside a `GrowPruneModel` the layer is a gate on its branch: while it is
    off, nothing of the branch is computed, stored on the device or trained,
    and the output is the shortcut. It can come back. In any other model the
    layer is a plain `keras.layers.Add`.

    End the branch with a norm, a layer without activation or a recurrent
    layer (maybe with dropout behind it): then a branch that comes for the
    first time starts as zero, and does not disturb what the network has
    learned.

    Args:
        **kwargs: As in `keras.layers.Layer`: `name`, `dtype` and so on.

    Call arguments:
        inputs: A list `[shortcut, branch]` of two tensors of equal shape. The
            order matters: the second may vanish.

    Returns:
        A tensor of the same shape.

    Raises:
        ValueError: If the inputs are not two tensors of equal shape.

    Example:

    ```python
    inputs = keras.Input((28, 28, 1))
    x = kgp.layers.GrowableConv2D(64, 3)(inputs)
    y = kgp.layers.GrowableConv2D(64, 3, padding="same", use_bias=False)(x)
    y = keras.layers.BatchNormalization()(y)
    x = kgp.layers.GatedAdd()([x, y])  # y's branch may leave
    x.shape  # (None, 26, 26, 64)
    ```
    """

    def call(self, inputs):
        shortcut, branch = inputs
        factor = factor_on(self)
        if factor is not None:
            branch = factor(branch)
        return ops.add(shortcut, branch)

    def call_plain(self, shortcut, branch, factor=1.0):
        """The same with plain Keras layers.

        Args:
            shortcut, branch: Keras tensors.
            factor: Float, how much of the branch there is. Defaults to 1.0.

        Returns:
            A Keras tensor.
        """
        if factor != 1:
            gate = keras.layers.Rescaling(
                factor, name=f"{self.name}_gate", dtype=self.dtype_policy
            )
            branch = gate(branch)
        add = keras.layers.Add(name=self.name, dtype=self.dtype_policy)
        return add([shortcut, branch])


register_axes(GatedAdd, channels="gate")

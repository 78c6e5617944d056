"""Dense layer whose units may come and go."""

import keras
from keras import ops

from keras_growprune.layers.growable import Growable
from keras_growprune.layers.growable import check_width
from keras_growprune.structure import register_axes


@keras.saving.register_keras_serializable(package="keras_growprune")
class GrowableDense(Growable, keras.layers.Dense):
    """A `keras.layers.Dense` whose units grow and are pruned in training.

    Inside a `GrowPruneModel`, training starts with few units, and units come
    and go between epochs. In any other model the layer is a plain dense layer
    with all `units`.

    Args:
        units: Positive integer, the most units the layer may have.
        seed_units: Integer from 1 to `units`, how many units training starts
            with. Defaults to `None`: what the schedule's `seed_fraction`
            allows.
        **kwargs: All other arguments of `keras.layers.Dense`.

    Input and output shapes are those of `keras.layers.Dense` with the present
    number of units, which the attribute `units` always tells.

    Raises:
        ValueError: If `units` or `seed_units` is out of its range.

    Example:

    ```python
    inputs = keras.Input((784,))
    x = kgp.layers.GrowableDense(512, activation="relu")(inputs)
    outputs = keras.layers.Dense(10)(x)
    ```
    """

    def __init__(self, units, *, seed_units=None, **kwargs):
        check_width("units", units, seed_units)
        super().__init__(units, **kwargs)
        self._init_width(units, seed_units)

    def call(self, inputs, training=None):
        self._check_in_network()
        if self.gate is None:
            return super().call(inputs, training=training)
        outputs = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            outputs = ops.add(outputs, ops.cast(self.bias, outputs.dtype))
        outputs = self.gate(outputs)
        return outputs if self.activation is None else self.activation(outputs)

    def as_plain_layer(self, width=None):
        """Returns a new `keras.layers.Dense`.

        Args:
            width: Its number of units. Defaults to `None`: the present one.
        """
        return keras.layers.Dense.from_config(self._plain_config(width))


register_axes(
    GrowableDense,
    width_attribute="units",
    kernel=("in", "out"),
    bias=("out",),
)

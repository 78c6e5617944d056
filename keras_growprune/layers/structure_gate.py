"""The relaxation itself: logits, ages, temperature."""

import keras
from keras import ops

from keras_growprune.layers.growable import is_count


@keras.saving.register_keras_serializable(package="keras_growprune")
class StructureGate(keras.layers.Layer):
    """Multiplies channels by their relaxed presence.

    Each unit has a trainable logit `s` and an age `t`, the epochs it has been
    in the network. Its factor is `sigmoid(beta * s)` with the temperature
    `beta = final_temperature ** (t / epochs)` (Yuan et al., ICLR 2021):
    units that have trained long harden to 0 or 1, newcomers stay soft.

    A `GrowPruneModel` with `rule="paper"` makes its own gates. In any other
    model the layer can gate the channels of any tensor.

    Args:
        units: Number of logits. Defaults to `None`: one per channel. With 1,
            all channels share one logit.
        axis: Integer, the channel axis. Defaults to -1.
        initial_logit: Float. Defaults to 0.0, a presence of one half.
        final_temperature: Float. Temperature of a unit that was there for
            all `epochs`. Defaults to 100.0.
        epochs: Positive integer, length of the run. Defaults to 1.
        **kwargs: As in `keras.layers.Layer`: `name`, `dtype` and so on.

    Attributes:
        logits: Trainable weight of shape `(units,)`.
        ages: Weight of shape `(units,)` that is not trained.
        run_length: Scalar weight that is not trained, at first `epochs`.

    Call arguments:
        inputs: Tensor with `units` channels along `axis`.

    Returns:
        A tensor of the same shape.

    Raises:
        ValueError: If an argument is out of its range, or `units` does not
            fit the input.

    Example:

    ```python
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(32, 3)(inputs)
    x = keras.layers.BatchNormalization()(x)
    gate = kgp.layers.StructureGate(initial_logit=2.0)
    x = gate(x)
    float(gate.presence()[0])  # 0.8808
    ```
    """

    def __init__(
        self,
        units=None,
        axis=-1,
        initial_logit=0.0,
        final_temperature=100.0,
        epochs=1,
        **kwargs,
    ):
        for argument, value in (("units", units), ("epochs", epochs)):
            if value is not None and not is_count(value):
                raise ValueError(
                    f"Received an invalid value for `{argument}`, expected a "
                    f"positive integer. Received: {argument}={value!r}"
                )
        if not final_temperature > 0:
            raise ValueError(
                "Received an invalid value for `final_temperature`, expected "
                f"a positive number. Received: {final_temperature!r}"
            )
        super().__init__(**kwargs)
        self.supports_masking = True
        self.units = units
        self.axis = axis
        self.initial_logit = initial_logit
        self.final_temperature = final_temperature
        self.epochs = epochs

    def build(self, input_shape):
        channels = input_shape[self.axis]
        units = self.units or channels
        if units not in (1, channels):
            raise ValueError(
                "Argument `units` must be 1 or the number of channels. "
                f"Received: units={units}, but the input has {channels} "
                f"channels along axis {self.axis}."
            )
        self.logits = self.add_weight(
            shape=(units,),
            initializer=keras.initializers.Constant(self.initial_logit),
            name="logits",
            dtype="float32",
        )
        self.ages = self.add_weight(
            shape=(units,),
            initializer="zeros",
            name="ages",
            dtype="float32",
            trainable=False,
        )
        # A weight, so that a traced function sees when it changes.
        self.run_length = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.epochs),
            name="run_length",
            dtype="float32",
            trainable=False,
        )

    def presence(self):
        """Relaxed presence of all units.

        Returns:
            A tensor of shape `(units,)` with values in (0, 1).
        """
        exponent = ops.divide(self.ages, self.run_length)
        temperature = ops.power(float(self.final_temperature), exponent)
        return ops.sigmoid(ops.multiply(temperature, self.logits))

    def call(self, inputs):
        shape = [1] * len(inputs.shape)
        shape[self.axis] = self.logits.shape[0]
        factor = ops.cast(self.presence(), inputs.dtype)
        return ops.multiply(inputs, ops.reshape(factor, shape))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            units=self.units,
            axis=self.axis,
            initial_logit=self.initial_logit,
            final_temperature=self.final_temperature,
            epochs=self.epochs,
        )
        return config

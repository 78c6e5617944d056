"""Dense layer whose units may come and go."""

import keras

from keras_growprune import keras_internals
from keras_growprune.layers.growable import Growable
from keras_growprune.layers.growable import check_width
from keras_growprune.structure import register_axes
from keras_growprune.structure.keras_layers import dense_axes


@keras.saving.register_keras_serializable(package="keras_growprune")
class GrowableDense(Growable, keras.layers.Dense):
    """A `keras.layers.Dense` whose units come and go.

    Inside a `GrowPruneModel`, training starts with few units, and units
    come and go between epochs. In any other model the layer is a plain
    dense layer with all `units`.

    Args:
        units: Positive integer, the most units the layer may have.
        seed_units: Integer from 1 to `units`, how many units training
            starts with. Defaults to `None`: what the schedule's
            `seed_fraction` allows.
        **kwargs: All other arguments of `keras.layers.Dense`.

    Input and output shapes are those of the Keras layer with the present number
    of units, which the attribute `units` always tells.

    Raises:
        ValueError: If `units` or `seed_units` is out of its range.

    Example:

    ```python
    inputs = keras.Input((784,))
    x = kgp.layers.GrowableDense(512, activation="relu")(inputs)
    outputs = keras.layers.Dense(10)(x)
    model = kgp.GrowPruneModel(inputs, outputs, kgp.Budget(params=0.3))
    max(model.widths.values()) < 512  # True
    ```
    """

    plain_class = keras.layers.Dense
    units = keras_internals.Setting("units")

    def __init__(self, units, *, seed_units=None, **kwargs):
        check_width("units", units, seed_units)
        super().__init__(units, **kwargs)
        self._init_width(units, seed_units)


register_axes(GrowableDense, **dense_axes())

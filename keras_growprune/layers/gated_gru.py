"""GRU whose units may come and go."""

import keras

from keras_growprune.layers.gated_recurrent import GatedRecurrent
from keras_growprune.layers.growable import check_width
from keras_growprune.structure import register_axes
from keras_growprune.structure.keras_layers import recurrent_axes


@keras.saving.register_keras_serializable(package="keras_growprune")
class GatedGRU(GatedRecurrent, keras.layers.GRU):
    """A `keras.layers.GRU` whose units come and go.

    Inside a `GrowPruneModel`, training starts with few units, and units come
    and go between epochs: a unit takes its row and its columns in all blocks
    of the layer's gates with it, its carried state, and its row in every
    layer that reads it (Wen et al., ICLR 2018, "Learning intrinsic sparse
    structures within LSTM"). In any other model the layer is a plain GRU
    with all `units`.

    Args:
        units: Positive integer, the most units the layer may have.
        seed_units: Integer from 1 to `units`, how many units training starts
            with. Defaults to `None`: what the schedule's `seed_fraction`
            allows.
        **kwargs: All other arguments of `keras.layers.GRU`.

    Call arguments, inputs, outputs and states are those of the Keras layer
    with the present number of units, which the attribute `units` always tells.

    Raises:
        ValueError: If `units` or `seed_units` is out of its range.

    Example:

    ```python
    inputs = keras.Input((20,), dtype="int32")
    x = kgp.layers.GrowableEmbedding(1000, 64)(inputs)
    x = kgp.layers.GatedGRU(128, return_sequences=True)(x)
    x = kgp.layers.GatedGRU(128)(x)
    outputs = keras.layers.Dense(1000)(x)
    model = kgp.GrowPruneModel(inputs, outputs, kgp.Budget(params=0.35))
    ```
    """

    plain_class = keras.layers.GRU

    def __init__(self, units, *, seed_units=None, **kwargs):
        check_width("units", units, seed_units)
        super().__init__(units, **kwargs)
        self._init_width(units, seed_units)


register_axes(GatedGRU, **recurrent_axes())

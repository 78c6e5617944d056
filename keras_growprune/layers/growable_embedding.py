"""Embedding whose width may change."""

import keras

from keras_growprune import keras_internals
from keras_growprune.layers.growable import Growable
from keras_growprune.layers.growable import check_width
from keras_growprune.structure import register_axes
from keras_growprune.structure.keras_layers import embedding_axes


@keras.saving.register_keras_serializable(package="keras_growprune")
class GrowableEmbedding(Growable, keras.layers.Embedding):
    """A `keras.layers.Embedding` whose dimensions come and go.

    Inside a `GrowPruneModel`, training starts with short vectors, and
    dimensions come and go between epochs. In any other model the layer is a
    plain embedding. The number of tokens never changes.

    Args:
        input_dim: Positive integer, number of tokens.
        output_dim: Positive integer, the most dimensions a vector may have.
            The attribute `output_dim` always tells the present number.
        seed_output_dim: Integer from 1 to `output_dim`, how many training
            starts with. Defaults to `None`: what the schedule's
            `seed_fraction` allows.
        **kwargs: All other arguments of `keras.layers.Embedding`.

    Raises:
        ValueError: If `output_dim` or `seed_output_dim` is out of its range.

    Example:

    ```python
    inputs = keras.Input((20,), dtype="int32")
    x = kgp.layers.GrowableEmbedding(1000, 64)(inputs)
    x = keras.layers.GlobalAveragePooling1D()(x)
    outputs = keras.layers.Dense(2)(x)
    model = kgp.GrowPruneModel(inputs, outputs, kgp.Budget(params=0.5))
    ```
    """

    plain_class = keras.layers.Embedding
    output_dim = keras_internals.Setting("output_dim")

    def __init__(
        self, input_dim, output_dim, *, seed_output_dim=None, **kwargs
    ):
        check_width("output_dim", output_dim, seed_output_dim)
        super().__init__(input_dim, output_dim, **kwargs)
        self._init_width(output_dim, seed_output_dim)


register_axes(GrowableEmbedding, **embedding_axes())

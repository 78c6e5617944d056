"""Tied embedding whose width may change."""

import keras

from keras_growprune import keras_internals
from keras_growprune.layers.growable import Growable
from keras_growprune.layers.growable import check_width
from keras_growprune.structure import register_axes
from keras_growprune.structure.keras_layers import reversible_embedding_axes

GrowableReversibleEmbedding = None

if hasattr(keras.layers, "ReversibleEmbedding"):  # not in Keras 3.8

    @keras.saving.register_keras_serializable(package="keras_growprune")
    class GrowableReversibleEmbedding(
        Growable, keras.layers.ReversibleEmbedding
    ):
        """A `keras.layers.ReversibleEmbedding` whose dimensions come and go.

        One table turns tokens into vectors and, called with `reverse=True`,
        vectors into a score for each token. So the width of what it is called
        on there changes with its own: the two are one group. (Keras 3.8 has
        no such layer; then this name is `None`.)

        Args:
            input_dim: Positive integer, number of tokens.
            output_dim: Positive integer, the most dimensions a vector may
                have. The attribute `output_dim` always tells the present
                number.
            seed_output_dim: Integer from 1 to `output_dim`, how many training
                starts with. Defaults to `None`: what the schedule's
                `seed_fraction` allows.
            **kwargs: All other arguments of the Keras layer.

        Raises:
            ValueError: If `output_dim` or `seed_output_dim` is out of its
                range.

        Example:

        ```python
        inputs = keras.Input((20,), dtype="int32")
        table = kgp.layers.GrowableReversibleEmbedding(1000, 64)
        x = kgp.layers.GatedLSTM(64, return_sequences=True)(table(inputs))
        outputs = table(x, reverse=True)
        ```
        """

        plain_class = keras.layers.ReversibleEmbedding
        output_dim = keras_internals.Setting("output_dim")

        def __init__(
            self, input_dim, output_dim, *, seed_output_dim=None, **kwargs
        ):
            check_width("output_dim", output_dim, seed_output_dim)
            super().__init__(input_dim, output_dim, **kwargs)
            self._init_width(output_dim, seed_output_dim)

        def call(self, inputs, reverse=False):
            if not reverse:
                return super().call(inputs)
            self._check_in_network()  # scores of tokens have no gates
            return super(Growable, self).call(inputs, reverse=True)

    register_axes(GrowableReversibleEmbedding, **reversible_embedding_axes())

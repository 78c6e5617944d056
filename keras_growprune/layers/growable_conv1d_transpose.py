"""Transposed 1-D convolution whose filters may come and go."""

import keras

from keras_growprune.layers.growable import Growable
from keras_growprune.layers.growable import check_width
from keras_growprune.structure import register_axes
from keras_growprune.structure.keras_layers import convolution_axes


@keras.saving.register_keras_serializable(package="keras_growprune")
class GrowableConv1DTranspose(Growable, keras.layers.Conv1DTranspose):
    """A `keras.layers.Conv1DTranspose` whose filters come and go.

    Inside a `GrowPruneModel`, training starts with few filters, and filters
    come and go between epochs. In any other model the layer is a plain
    transposed 1-D convolution with all `filters`.

    Args:
        filters: Positive integer, the most filters the layer may have.
        kernel_size: As in `keras.layers.Conv1DTranspose`.
        seed_filters: Integer from 1 to `filters`, how many filters training
            starts with. Defaults to `None`: what the schedule's
            `seed_fraction` allows.
        **kwargs: All other arguments of `keras.layers.Conv1DTranspose`.

    Input and output shapes are those of the Keras layer with the present number
    of filters, which the attribute `filters` always tells.

    Raises:
        ValueError: If `filters` or `seed_filters` is out of its range.

    Example:

    ```python
    inputs = keras.Input((100, 8))
    x = kgp.layers.GrowableConv1DTranspose(64, 4, strides=2)(inputs)
    ```
    """

    plain_class = keras.layers.Conv1DTranspose

    def __init__(self, filters, kernel_size, *, seed_filters=None, **kwargs):
        check_width("filters", filters, seed_filters)
        super().__init__(filters, kernel_size, **kwargs)
        self._init_width(filters, seed_filters)


register_axes(
    GrowableConv1DTranspose, **convolution_axes("1D", transposed=True)
)

"""2-D convolution whose filters may come and go."""

import keras

from keras_growprune import keras_internals
from keras_growprune.layers.growable import Growable
from keras_growprune.layers.growable import check_width
from keras_growprune.structure import register_axes
from keras_growprune.structure.keras_layers import convolution_axes


@keras.saving.register_keras_serializable(package="keras_growprune")
class GrowableConv2D(Growable, keras.layers.Conv2D):
    """A `keras.layers.Conv2D` whose filters come and go.

    Inside a `GrowPruneModel`, training starts with few filters, and filters
    come and go between epochs. In any other model the layer is a plain
    2-D convolution with all `filters`.

    Args:
        filters: Positive integer, the most filters the layer may have.
        kernel_size: Integer or pair of integers, as in `keras.layers.Conv2D`.
        seed_filters: Integer from 1 to `filters`, how many filters training
            starts with. Defaults to `None`: what the schedule's
            `seed_fraction` allows.
        **kwargs: All other arguments of `keras.layers.Conv2D`.

    Input and output shapes are those of the Keras layer with the present number
    of filters, which the attribute `filters` always tells.

    Raises:
        ValueError: If `filters` or `seed_filters` is out of its range.

    Example:

    ```python
    inputs = keras.Input((32, 32, 3))
    x = kgp.layers.GrowableConv2D(64, 3, padding="same", use_bias=False)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x.shape  # (None, 32, 32, 64)
    ```
    """

    plain_class = keras.layers.Conv2D
    filters = keras_internals.Setting("filters")

    def __init__(self, filters, kernel_size, *, seed_filters=None, **kwargs):
        check_width("filters", filters, seed_filters)
        super().__init__(filters, kernel_size, **kwargs)
        self._init_width(filters, seed_filters)


register_axes(GrowableConv2D, **convolution_axes("2D"))

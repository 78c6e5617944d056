"""2-D convolution whose filters may come and go."""

import keras
from keras import ops

from keras_growprune.layers.growable import Growable
from keras_growprune.layers.growable import check_width
from keras_growprune.structure import register_axes


@keras.saving.register_keras_serializable(package="keras_growprune")
class GrowableConv2D(Growable, keras.layers.Conv2D):
    """A `keras.layers.Conv2D` whose filters grow and are pruned in training.

    Inside a `GrowPruneModel`, training starts with few filters, and filters
    come and go between epochs. In any other model the layer is a plain
    convolution with all `filters`.

    Args:
        filters: Positive integer, the most filters the layer may have.
        kernel_size: As in `keras.layers.Conv2D`.
        seed_filters: Integer from 1 to `filters`, how many filters training
            starts with. Defaults to `None`: what the schedule's
            `seed_fraction` allows.
        **kwargs: All other arguments of `keras.layers.Conv2D`.

    Input and output shapes are those of `keras.layers.Conv2D` with the present
    number of filters, which the attribute `filters` always tells.

    Raises:
        ValueError: If `filters` or `seed_filters` is out of its range.

    Example:

    ```python
    inputs = keras.Input((32, 32, 3))
    x = kgp.layers.GrowableConv2D(64, 3, padding="same", use_bias=False)(inputs)
    x = keras.layers.BatchNormalization()(x)
    ```
    """

    def __init__(self, filters, kernel_size, *, seed_filters=None, **kwargs):
        check_width("filters", filters, seed_filters)
        super().__init__(filters, kernel_size, **kwargs)
        self._init_width(filters, seed_filters)

    def call(self, inputs):
        self._check_in_network()
        if self.gate is None:
            return super().call(inputs)
        outputs = self.convolution_op(inputs, self.kernel)
        shape = [1] * len(outputs.shape)
        shape[1 if self.data_format == "channels_first" else -1] = -1
        if self.use_bias:
            outputs = outputs + ops.cast(
                ops.reshape(self.bias, shape), outputs.dtype
            )
        outputs = self.gate(outputs)
        return outputs if self.activation is None else self.activation(outputs)

    def as_plain_layer(self, width=None):
        """Returns a new `keras.layers.Conv2D`.

        Args:
            width: Its number of filters. Defaults to `None`: the present one.
        """
        return keras.layers.Conv2D.from_config(self._plain_config(width))


register_axes(
    GrowableConv2D,
    width_attribute="filters",
    kernel=(None, None, "in", "out"),
    bias=("out",),
)

"""The growable forms of Keras's other convolutions."""

from keras import layers

from keras_growprune.layers.growable import make_growable
from keras_growprune.structure import register_axes
from keras_growprune.structure.keras_layers import convolution_axes
from keras_growprune.structure.keras_layers import separable_axes

_EXAMPLE = """
    Example:

    ```python
    inputs = keras.Input({shape})
    x = kgp.layers.{name}(64, 3, padding="same")(inputs)
    x.shape  # {output}
    ```
    """
_SHAPES = {
    "1D": ((128, 3), (None, 128, 64)),
    "2D": ((32, 32, 3), (None, 32, 32, 64)),
    "3D": ((8, 16, 16, 3), (None, 8, 16, 16, 64)),
}


def _growable(plain_class, axes):
    growable_class = make_growable(plain_class, axes["width_attribute"])
    growable_class.__module__ = __name__
    name = growable_class.__name__
    (rank,) = (rank for rank in _SHAPES if rank in name)
    shape, output = _SHAPES[rank]
    growable_class.__doc__ = growable_class.__doc__.rstrip() + "\n"
    growable_class.__doc__ += _EXAMPLE.format(
        name=name, shape=shape, output=output
    )
    register_axes(growable_class, **axes)
    return growable_class


GrowableConv1D = _growable(layers.Conv1D, convolution_axes("1D"))
GrowableConv3D = _growable(layers.Conv3D, convolution_axes("3D"))
GrowableConv1DTranspose = _growable(
    layers.Conv1DTranspose, convolution_axes("1D", transposed=True)
)
GrowableConv2DTranspose = _growable(
    layers.Conv2DTranspose, convolution_axes("2D", transposed=True)
)
GrowableConv3DTranspose = _growable(
    layers.Conv3DTranspose, convolution_axes("3D", transposed=True)
)
GrowableSeparableConv1D = _growable(
    layers.SeparableConv1D, separable_axes("1D")
)
GrowableSeparableConv2D = _growable(
    layers.SeparableConv2D, separable_axes("2D")
)

"""The growable forms of Keras's other convolutions."""

from keras import layers

from keras_growprune.layers.growable import make_growable
from keras_growprune.structure import register_axes
from keras_growprune.structure.keras_layers import convolution_axes
from keras_growprune.structure.keras_layers import separable_axes


def _growable(plain_class, axes):
    growable_class = make_growable(plain_class, axes["width_attribute"])
    growable_class.__module__ = __name__
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

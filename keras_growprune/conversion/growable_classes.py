"""Which growable layer takes the place of which plain one."""

import keras

from keras_growprune import layers
from keras_growprune.structure import axes_of
from keras_growprune.structure import is_growable
from keras_growprune.structure import make_layer

_CLASSES = {
    growable_class.plain_class: growable_class
    for growable_class in (
        layers.GatedGRU,
        layers.GatedLSTM,
        layers.GrowableConv1D,
        layers.GrowableConv1DTranspose,
        layers.GrowableConv2D,
        layers.GrowableConv2DTranspose,
        layers.GrowableConv3D,
        layers.GrowableConv3DTranspose,
        layers.GrowableDense,
        layers.GrowableEmbedding,
        layers.GrowableReversibleEmbedding,
        layers.GrowableSeparableConv1D,
        layers.GrowableSeparableConv2D,
    )
    if growable_class is not None  # Keras 3.8 lacks one
}


def can_become_growable(layer):
    """Whether there is a growable layer for a layer, or it is one."""
    activation = getattr(layer, "activation", None)
    if isinstance(activation, keras.layers.Layer):
        known = axes_of(activation)
        if known is None or known.weights:
            return False  # weights that would have to follow its units
    return is_growable(layer) or _class_for(layer) is not None


def growable_layer(layer):
    """Returns a new growable layer for a plain one, with fresh weights."""
    growable_class = _class_for(layer) or type(layer)
    return make_layer(growable_class, layer)


def _class_for(layer):
    kind = type(layer)
    return _CLASSES.get(kind) or layers.growable_class_of(kind)

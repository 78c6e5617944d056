"""Which growable layer takes the place of which plain one."""

from keras_growprune import layers
from keras_growprune.structure import is_growable

_CLASSES = {
    growable_class.plain_class: growable_class
    for growable_class in (
        layers.GrowableConv1D,
        layers.GrowableConv1DTranspose,
        layers.GrowableConv2D,
        layers.GrowableConv2DTranspose,
        layers.GrowableConv3D,
        layers.GrowableConv3DTranspose,
        layers.GrowableDense,
        layers.GrowableSeparableConv1D,
        layers.GrowableSeparableConv2D,
    )
}


def can_become_growable(layer):
    """Whether there is a growable layer for a layer, or it is one."""
    return is_growable(layer) or _class_for(layer) is not None


def growable_layer(layer):
    """Returns a new growable layer for a plain one, with fresh weights."""
    growable_class = _class_for(layer) or type(layer)
    return growable_class.from_config(layer.get_config())


def _class_for(layer):
    kind = type(layer)
    return _CLASSES.get(kind) or layers.growable_class_of(kind)

"""Networks of the field, written with growable layers."""

from keras_growprune.models.resnet import resnet
from keras_growprune.models.vgg import vgg16
from keras_growprune.models.wide_resnet import wide_resnet

__all__ = ["resnet", "vgg16", "wide_resnet"]

"""Networks of the field, written with growable layers."""

from keras_growprune.models.resnet import resnet

__all__ = ["resnet"]

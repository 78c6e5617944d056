"""From any Keras model to one that grows."""

from keras_growprune.conversion.build import build
from keras_growprune.conversion.growable import growable

__all__ = ["build", "growable"]

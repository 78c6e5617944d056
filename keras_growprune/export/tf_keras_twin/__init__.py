"""Twins: the same network in Keras 3 and in tf_keras, the Keras before it."""

from keras_growprune.export.tf_keras_twin.from_tf_keras import from_tf_keras
from keras_growprune.export.tf_keras_twin.to_tf_keras import to_tf_keras

__all__ = ["from_tf_keras", "to_tf_keras"]

"""Networks of the field, written with growable layers."""

from keras_growprune.models.lstm_language_model import lstm_language_model
from keras_growprune.models.resnet import resnet
from keras_growprune.models.vgg import vgg16
from keras_growprune.models.wide_resnet import wide_resnet

__all__ = ["lstm_language_model", "resnet", "vgg16", "wide_resnet"]

"""Networks of the field, written with growable layers."""

from keras_growprune.models.bottleneck_resnet import bottleneck_resnet
from keras_growprune.models.deeplab_v3 import deeplab_v3
from keras_growprune.models.lstm_language_model import lstm_language_model
from keras_growprune.models.mobilenet import mobilenet
from keras_growprune.models.resnet import resnet
from keras_growprune.models.unet import unet
from keras_growprune.models.vgg import vgg16
from keras_growprune.models.wide_resnet import wide_resnet

__all__ = [
    "bottleneck_resnet",
    "deeplab_v3",
    "lstm_language_model",
    "mobilenet",
    "resnet",
    "unet",
    "vgg16",
    "wide_resnet",
]

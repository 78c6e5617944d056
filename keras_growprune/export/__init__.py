"""How a network leaves the library."""

from keras_growprune.export.compact import compact_model
from keras_growprune.export.compact import untrained_model
from keras_growprune.export.export_model import FORMATS
from keras_growprune.export.export_model import export_model
from keras_growprune.export.prepared import in_float32
from keras_growprune.export.verification import Verification
from keras_growprune.export.verification import verify

__all__ = [
    "FORMATS",
    "Verification",
    "compact_model",
    "export_model",
    "in_float32",
    "untrained_model",
    "verify",
]

"""How a network leaves the library."""

from keras_growprune.export.compact import compact_model
from keras_growprune.export.compact import untrained_model
from keras_growprune.export.saved_model import export_saved_model

__all__ = [
    "compact_model",
    "export_saved_model",
    "untrained_model",
]

"""Files that other runtimes execute, run here."""

from keras_growprune.runtimes.exported_file import ExportedFile
from keras_growprune.runtimes.exported_file import in_batches
from keras_growprune.runtimes.opening import format_of
from keras_growprune.runtimes.opening import open_exported
from keras_growprune.runtimes.opening import size_on_disk

__all__ = [
    "ExportedFile",
    "format_of",
    "in_batches",
    "open_exported",
    "size_on_disk",
]

"""Files that appear whole or not at all."""

from keras_growprune.files.written_aside import new_aside
from keras_growprune.files.written_aside import written_aside

__all__ = ["new_aside", "written_aside"]

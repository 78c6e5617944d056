"""Tables, bars and numbers as text."""

from keras_growprune.text.bars import bars
from keras_growprune.text.numbers import count_text
from keras_growprune.text.numbers import counted
from keras_growprune.text.numbers import shape_text
from keras_growprune.text.numbers import size_text
from keras_growprune.text.table import table

__all__ = ["bars", "count_text", "counted", "shape_text", "size_text", "table"]

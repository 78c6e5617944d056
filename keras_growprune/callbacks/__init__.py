"""Callbacks of `fit` that know of growing."""

from keras_growprune.callbacks.once_settled import OnceSettled

__all__ = ["OnceSettled"]

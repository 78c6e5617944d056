"""Callbacks of `fit` that know of growing."""

from keras_growprune.callbacks.backup_and_restore import BackupAndRestore
from keras_growprune.callbacks.grow import Grow
from keras_growprune.callbacks.growth_tensorboard import GrowthTensorBoard
from keras_growprune.callbacks.once_settled import OnceSettled

__all__ = ["BackupAndRestore", "Grow", "GrowthTensorBoard", "OnceSettled"]

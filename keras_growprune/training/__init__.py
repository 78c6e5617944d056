"""The model that grows: restructuring in place, measuring, bookkeeping."""

from keras_growprune.training.diff import diff
from keras_growprune.training.distillation import Distillation
from keras_growprune.training.grow_prune_model import GrowPruneModel
from keras_growprune.training.growing_model import growing_model
from keras_growprune.training.ledger import Ledger

__all__ = [
    "Distillation",
    "GrowPruneModel",
    "Ledger",
    "diff",
    "growing_model",
]

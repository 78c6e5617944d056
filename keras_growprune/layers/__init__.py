"""What a user writes a growable network with."""

from keras_growprune.layers.gated_add import GatedAdd
from keras_growprune.layers.gated_skip import GatedSkip
from keras_growprune.layers.growable_conv2d import GrowableConv2D
from keras_growprune.layers.growable_dense import GrowableDense
from keras_growprune.layers.structure_gate import StructureGate

__all__ = [
    "GatedAdd",
    "GatedSkip",
    "GrowableConv2D",
    "GrowableDense",
    "StructureGate",
]

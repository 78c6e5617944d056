"""What a user writes a growable network with."""

from keras_growprune.layers.gated_add import GatedAdd
from keras_growprune.layers.gated_gru import GatedGRU
from keras_growprune.layers.gated_lstm import GatedLSTM
from keras_growprune.layers.gated_skip import GatedSkip
from keras_growprune.layers.growable_conv2d import GrowableConv2D
from keras_growprune.layers.growable_dense import GrowableDense
from keras_growprune.layers.growable_embedding import GrowableEmbedding
from keras_growprune.layers.growable_layers import GrowableConv1D
from keras_growprune.layers.growable_layers import GrowableConv1DTranspose
from keras_growprune.layers.growable_layers import GrowableConv2DTranspose
from keras_growprune.layers.growable_layers import GrowableConv3D
from keras_growprune.layers.growable_layers import GrowableConv3DTranspose
from keras_growprune.layers.growable_layers import GrowableSeparableConv1D
from keras_growprune.layers.growable_layers import GrowableSeparableConv2D
from keras_growprune.layers.growable_reversible_embedding import (
    GrowableReversibleEmbedding,
)
from keras_growprune.layers.registration import growable_class_of
from keras_growprune.layers.registration import register_axes
from keras_growprune.layers.structure_gate import StructureGate

__all__ = [
    "GatedAdd",
    "GatedGRU",
    "GatedLSTM",
    "GatedSkip",
    "GrowableConv1D",
    "GrowableConv1DTranspose",
    "GrowableConv2D",
    "GrowableConv2DTranspose",
    "GrowableConv3D",
    "GrowableConv3DTranspose",
    "GrowableDense",
    "GrowableEmbedding",
    "GrowableReversibleEmbedding",
    "GrowableSeparableConv1D",
    "GrowableSeparableConv2D",
    "StructureGate",
    "growable_class_of",
    "register_axes",
]

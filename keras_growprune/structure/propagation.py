"""How each kind of layer passes channels on: one function per kind.

Each takes the tracer and one call and returns the channels of the output:
`(axis, units)`, or None where no channel of it can change.
"""

from keras_growprune.structure import following
from keras_growprune.structure import joining
from keras_growprune.structure import mixing
from keras_growprune.structure import reshaping
from keras_growprune.structure import sequences

KINDS = {
    "mix": mixing.mix,
    "separable": mixing.separable,
    "depthwise": mixing.depthwise,
    "attention": mixing.attention,
    "recurrent": sequences.recurrent,
    "embedding": sequences.embedding,
    "follow": following.follow,
    "norm": following.norm,
    "group_norm": following.group_norm,
    "parametric": following.parametric,
    "constants": following.constants,
    "pad": following.pad,
    "pool": reshaping.pool,
    "reduce": reshaping.reduce,
    "flatten": reshaping.flatten,
    "reshape": reshaping.reshape,
    "permute": reshaping.permute,
    "transpose": reshaping.transpose,
    "expand": reshaping.expand,
    "squeeze": reshaping.squeeze,
    "repeat": reshaping.repeat,
    "slice": reshaping.slice_positions,
    "split": reshaping.split,
    "unite": joining.unite,
    "concatenate": joining.concatenate,
    "gate": joining.gate,
    "skip": joining.gate,
}
# Kinds that make new channels out of all old ones.
MIXING = ("mix", "separable", "attention", "recurrent", "embedding")
NORMS = ("norm", "group_norm")

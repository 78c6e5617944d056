"""Branches of skips that can start as the identity."""

import dataclasses

import keras
import numpy as np

from keras_growprune.structure import axes
from keras_growprune.structure import neighbors
from keras_growprune.structure.factor_points import is_linear
from keras_growprune.structure.following import norm_axes


@dataclasses.dataclass(frozen=True)
class IdentityBranch:
    """A mixing layer, maybe a norm, maybe a ReLU: what a skip may leave out.

    With a unit kernel, and a norm that gives back the mean and the variance
    that it takes away, the branch repeats its input. (A ReLU does, where the
    input has no negative values.)

    Attributes:
        shortcut: Symbolic tensor, the input of the branch.
        mixer: The growable convolution or dense layer.
        norm: The batch norm behind it, or None.
        units: Unit behind each channel, of the input and of the output.
    """

    shortcut: object
    mixer: object
    norm: object
    units: np.ndarray


def find_identity_branches(channel_map):
    """Returns an `IdentityBranch` for each gated layer, or None.

    None for residual branches, which start as zero, and for what cannot be
    the identity or is used elsewhere too.
    """
    producers = neighbors.producers(channel_map)
    consumers = neighbors.consumers(channel_map)
    uses = [id(call.operation) for call in channel_map.calls]
    return [
        _identity_branch(channel_map, gate, producers, consumers, uses)
        for gate in channel_map.gates
    ]


def _identity_branch(channel_map, gate, producers, consumers, uses):
    if axes.axes_of(gate.layer).channels != "skip":
        return None
    shortcut, branch = channel_map.calls[gate.call].inputs
    tensor, layers = branch, []
    while tensor is not shortcut:
        call = producers[id(tensor)]
        reads, calls = (
            len(consumers[id(tensor)]),
            uses.count(id(call.operation)),
        )
        alone = reads == calls == 1
        if not alone or len(call.inputs) != 1 or len(layers) == 3:
            return None
        layers.insert(0, call.operation)
        tensor = call.inputs[0]
    mixer, *others = layers or [None]
    norm = None
    if others and isinstance(others[0], keras.layers.BatchNormalization):
        norm = others.pop(0)
    ends = [channel_map.channels.get(id(t)) for t in (shortcut, branch)]
    if (
        None in ends
        or not np.array_equal(ends[0].units, ends[1].units)
        or not _can_repeat(mixer)
        or not all(_is_relu(layer) for layer in others)
        or not (norm is None or _gives_back(norm, branch, ends[1].axis))
    ):
        return None
    return IdentityBranch(shortcut, mixer, norm, ends[0].units)


def _can_repeat(layer):
    if layer is None or not axes.is_growable(layer):
        return False
    sizes = getattr(layer, "kernel_size", (1,))
    return (
        all(size % 2 for size in sizes)
        and all(stride == 1 for stride in getattr(layer, "strides", (1,)))
        and (set(sizes) == {1} or layer.padding == "same")
        and (is_linear(layer) or _is_relu(layer))
    )


def _gives_back(norm, tensor, axis):
    """Whether a norm can give each channel its mean and variance back."""
    follows = norm_axes(norm, len(tensor.shape)) == [axis]
    return follows and norm.scale and norm.center


def _is_relu(layer):
    if isinstance(layer, keras.layers.ReLU):
        plain = keras.layers.ReLU().get_config()
        given = layer.get_config()
        keys = ("max_value", "negative_slope", "threshold")
        return all(given[key] == plain[key] for key in keys)
    return getattr(layer, "activation", None) is keras.activations.relu

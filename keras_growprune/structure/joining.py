"""Layers and operations with several inputs."""

import keras
import numpy as np


def unite(tracer, call):
    """Sums, products and the like: k-th channels are the same unit.

    Shapes broadcast: a tensor of one channel, or of fewer axes, goes with all
    channels of the others.
    """
    operands = _operands(call)
    rank = len(call.outputs[0].shape)
    # Axes counted from the right, as broadcasting does.
    known = [
        (tensor, axis - len(tensor.shape), units)
        for tensor in operands
        for axis, units in [tracer.channels(tensor) or (None, None)]
        if axis is not None
    ]
    if not known:
        return None
    width = max(len(units) for _, _, units in known)
    wide = [each for each in known if len(each[2]) == width]
    axis = wide[0][1]
    fits = all(each[1] == axis for each in known)
    has_channels = {id(tensor) for tensor, _, _ in known}
    others = [
        value
        for value in operands
        if id(value) not in has_channels
        and len(value.shape) >= -axis
        and value.shape[axis] != 1
    ]
    if not fits or not all(_has_slices(each, axis, width) for each in others):
        return _freeze(tracer, call)
    for value in others:
        axis_from_left = axis + len(value.shape)
        tracer.record_constant(call, value, axis_from_left, wide[0][2])
    for tensor, _, units in known:
        if len(units) < width:
            tracer.freeze(
                [tensor], f"`{call.layer.name}` uses it for all channels"
            )
    for _, _, units in wide[1:]:
        tracer.unite(wide[0][2], units, f"`{call.layer.name}` joins them")
    return rank + axis, wide[0][2]


def _operands(call):
    """Tensors and constants among the arguments that have axes."""
    return [
        value
        for value in keras.tree.flatten((call.arguments, call.keywords))
        if hasattr(value, "shape") and len(value.shape)
    ]


def _has_slices(value, axis, width):
    """Whether an operand is a constant with an entry for each channel."""
    is_constant = isinstance(value, np.ndarray) or (
        keras.ops.is_tensor(value) and not hasattr(value, "assign")
    )
    return is_constant and value.shape[axis] == width


def _freeze(tracer, call):
    joined = "joins it with channels that cannot change"
    tracer.freeze(call.inputs, f"`{call.layer.name}` {joined}")


def concatenate(tracer, call):
    """Channels side by side, or positions one after another."""
    tensors = _operands(call)
    rank = len(call.outputs[0].shape)
    known = [tracer.channels(tensor) for tensor in tensors]
    axes = {each[0] for each in known if each is not None}
    if not axes:
        return None
    joined = call.layer.axis % rank
    if len(axes) > 1:
        tracer.freeze(
            tensors, f"`{call.layer.name}` joins channels of different axes"
        )
        return None
    (axis,) = axes
    if axis != joined:
        return unite_whole(tracer, call, axis, tensors)
    parts = [
        tracer.fixed(tensor.shape[axis]) if each is None else each[1]
        for tensor, each in zip(tensors, known)
    ]
    return axis, np.concatenate(parts)


def unite_whole(tracer, call, axis, tensors):
    """All inputs have the same channels, none is broadcast."""
    known = [tracer.channels(tensor) for tensor in tensors]
    # A branch that is out of its network at present has no channels at all.
    if None in known or len({len(units) for _, units in known}) > 1:
        return _freeze(tracer, call)
    for each in known[1:]:
        tracer.unite(known[0][1], each[1], f"`{call.layer.name}` joins them")
    return axis, known[0][1]


def gate(tracer, call):
    """A residual sum, or a skip, whose branch may leave the network."""
    tracer.record_gate(call)
    known = [tracer.channels(tensor) for tensor in call.inputs]
    if known == [None] * len(known):
        return None
    axis = next(each[0] for each in known if each is not None)
    return unite_whole(tracer, call, axis, call.inputs)

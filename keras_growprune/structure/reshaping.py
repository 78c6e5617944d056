"""Layers and operations that move axes, or drop some of them."""

import math

import numpy as np

from keras_growprune.structure.following import along_layer_axis
from keras_growprune.structure.following import on_channels


def pool(tracer, call):
    """Global pooling: only batch and channels stay."""
    source = along_layer_axis(tracer, call)
    if source is None:
        return None
    keeps_axes = len(call.outputs[0].shape) == len(call.inputs[0].shape)
    return (source[0] if keeps_axes else 1, source[1])


@on_channels
def reduce(tracer, call, channel_axis, units):
    """Mean, sum and the like over some axes."""
    rank = len(call.inputs[0].shape)
    axes = getattr(call.layer, "axis", None)
    axes = range(rank) if axes is None else np.atleast_1d(axes) % rank
    if channel_axis in axes:
        return None  # one number out of all channels, as many as there are
    if call.layer.keepdims:
        return channel_axis, units
    return channel_axis - sum(axis < channel_axis for axis in axes), units


@on_channels
def flatten(tracer, call, axis, units):
    """Positions and channels in one axis."""
    shape = call.inputs[0].shape[1:]
    if None in shape:
        tracer.freeze(
            call.inputs,
            f"layer `{call.layer.name}` flattens an input of unknown size",
        )
        return None
    if getattr(call.layer, "data_format", None) == "channels_first":
        # Flatten moves the channel axis to the end before it flattens.
        shape = shape[1:] + shape[:1]
        axis = len(shape) if axis == 1 else axis - 1
    return 1, _merged(units, shape[: axis - 1], shape[axis:])


def _merged(units, before, after):
    """Units of an axis that takes up the axes around the channels."""
    return np.tile(np.repeat(units, math.prod(after)), math.prod(before))


@on_channels
def reshape(tracer, call, axis, units):
    """Axes merged with the channels, or the channels left alone."""
    old, new = tuple(call.inputs[0].shape), tuple(call.outputs[0].shape)
    found = _axis_with(old, new, axis)
    if found is None:
        tracer.freeze(
            call.inputs, f"`{call.layer.name}` takes its channels apart"
        )
        return None
    new_axis, before, after = found
    units = _merged(units, before, after)
    name, first = (
        ("target_shape", 1)
        if hasattr(call.layer, "target_shape")
        else ("newshape", 0)
    )
    given = tuple(getattr(call.layer, name))
    if given[new_axis - first] != -1:
        tracer.record_attribute(
            call.layer, name, units, given, new_axis - first
        )
    return new_axis, units


def _axis_with(old, new, axis):
    """Where one axis goes when a shape becomes another.

    Returns:
        `(new axis, sizes merged in front of it, sizes merged behind it)`, or
        None where the axis is split, or the sizes are not known.
    """
    if None not in old[1:] + new[1:] and math.prod(old[1:]) == math.prod(
        new[1:]
    ):
        before, after = math.prod(old[1:axis]), math.prod(old[axis + 1 :])
        found = []
        for index in range(1, len(new)):
            front, rest = math.prod(new[1:index]), math.prod(new[index + 1 :])
            if before % front or after % rest:
                continue
            merged = before // front, after // rest
            if merged[0] * old[axis] * merged[1] == new[index]:
                found.append((index, merged[:1], merged[1:]))
        # A single channel is found in every axis: the least merged one is it.
        return min(
            found, key=lambda each: math.prod(each[1] + each[2]), default=None
        )
    # The batch may take part: then what follows must stay as it is.
    tail = old[axis:]
    if None in tail or new[-len(tail) :] != tail or len(new) <= len(tail):
        return None
    return len(new) - len(tail), (), ()


@on_channels
def permute(tracer, call, axis, units):
    """`keras.layers.Permute`, which leaves the batch out."""
    return call.layer.dims.index(axis) + 1, units


@on_channels
def transpose(tracer, call, axis, units):
    """Axes in another order: transpose, swap, move."""
    rank = len(call.inputs[0].shape)
    layer = call.layer
    if hasattr(layer, "axes"):
        order = layer.axes or range(rank)[::-1]
        order = [each % rank for each in order]
    elif hasattr(layer, "axis1"):
        order = list(range(rank))
        one, other = layer.axis1 % rank, layer.axis2 % rank
        order[one], order[other] = order[other], order[one]
    else:
        marked = np.empty(range(1, rank + 1))
        moved = np.moveaxis(marked, layer.source, layer.destination)
        order = [size - 1 for size in moved.shape]
    if not order.index(axis):
        tracer.freeze(
            call.inputs, f"`{layer.name}` moves channels in front of the batch"
        )
        return None
    return order.index(axis), units


@on_channels
def expand(tracer, call, axis, units):
    """A new axis of size one."""
    rank = len(call.outputs[0].shape)
    new = np.atleast_1d(call.layer.axis) % rank
    kept = [each for each in range(rank) if each not in new]
    return kept[axis], units


@on_channels
def squeeze(tracer, call, axis, units):
    """Axes of size one go."""
    shape = call.inputs[0].shape
    gone = call.layer.axis
    if gone is None:  # a single channel would go as well
        tracer.freeze(call.inputs, f"`{call.layer.name}` does not name axes")
        return None
    gone = np.atleast_1d(gone) % len(shape)
    if axis in gone:
        tracer.freeze(call.inputs, f"`{call.layer.name}` needs one channel")
        return None
    return axis - sum(each < axis for each in gone), units


def repeat(tracer, call):
    """`keras.layers.RepeatVector`: a new axis behind the batch."""
    source = tracer.channels(call.inputs[0])
    return None if source is None else (source[0] + 1, source[1])


@on_channels
def slice_positions(tracer, call, axis, units):
    """`x[...]` that leaves the channels alone, or keeps some side by side."""
    key = whole_key(call.argument("key", 1), len(call.inputs[0].shape))
    found = _sliced_axis(key, axis)
    part = None if found is None else units[found[1]]
    is_whole = part is not None and len(part) == len(units)
    if is_whole or (part is not None and tracer.slices_become_splits):
        return found[0], part
    tracer.freeze(
        call.inputs, f"`{call.layer.name}` picks channels by their numbers"
    )
    return None


def _sliced_axis(key, axis):
    """Where an axis is after `x[key]`, and the slice of it that is kept.

    Returns:
        `(new axis, slice)`, or None if the key does anything else with it.
    """
    old = new = 0
    for part in key:
        if part is None:
            new += 1
            continue
        if not isinstance(part, (int, np.integer, slice)):
            return None  # indexing by tensors or lists moves axes
        if old == axis:
            is_slice = isinstance(part, slice) and part.step in (None, 1)
            return (new, part) if is_slice else None
        old += 1
        new += isinstance(part, slice)
    return None


def whole_key(key, rank):
    """A key of `x[key]` with a part for each axis, as a list.

    Args:
        key: The key.
        rank: Number of axes of the tensor.
    """
    key = key if isinstance(key, tuple) else (key,)
    named = sum(part is not Ellipsis and part is not None for part in key)
    rest = [slice(None)] * (rank - named)
    if Ellipsis in [part for part in key if not hasattr(part, "shape")]:
        place = key.index(Ellipsis)
        return [*key[:place], *rest, *key[place + 1 :]]
    return [*key, *rest]


@on_channels
def split(tracer, call, axis, units):
    """A split into parts, of positions or of channels."""
    if call.layer.axis % len(call.inputs[0].shape) != axis:
        return axis, units
    # The sizes of its outputs tell where it splits, however it was said.
    ends = np.cumsum([tensor.shape[axis] for tensor in call.outputs])
    points = tuple(int(end) for end in ends[:-1])
    tracer.record_split(call.layer, "indices_or_sections", units, points)
    return [(axis, part) for part in np.split(units, points)]

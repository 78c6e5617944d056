"""Slices of channels, written as splits, whose points can move."""

from keras import ops

from keras_growprune import keras_internals
from keras_growprune.structure import whole_key


def split_instead_of_slice(call, tensor, channel_axis):
    """Does what `x[..., a:b]` does with a split.

    A slice has its numbers in the call, where they stay as they are; a split
    has them in the operation.

    Args:
        call: A call of the given network.
        tensor: The new input tensor.
        channel_axis: Axis of the channels of its input, or None.

    Returns:
        The new output tensor, or None if the call is no slice of channels
        next to each other.
    """
    if keras_internals.operation_name(call.operation) != "GetItem":
        return None
    key = whole_key(call.argument("key", 1), len(tensor.shape))
    axes = [i for i, part in enumerate(key) if part is not None]
    if channel_axis is None or len(axes) <= channel_axis:
        return None
    place = axes[channel_axis]
    part = key[place]
    if not isinstance(part, slice) or part == slice(None):
        return None
    size = tensor.shape[channel_axis]
    start, stop, step = part.indices(size)
    if step != 1 or start >= stop:
        return None
    points = [point for point in (start, stop) if 0 < point < size]
    if points:
        tensor = ops.split(tensor, points, axis=channel_axis)[int(start > 0)]
    rest = (*key[:place], slice(None), *key[place + 1 :])
    if all(part == slice(None) for part in rest):
        return tensor
    return tensor[rest]

"""Layers whose output channels are their input channels."""

import functools

import numpy as np


def on_channels(kind):
    """Makes a kind of a function of the input's channels as well.

    Where the input has no channels that can change, nor has the output.
    """

    @functools.wraps(kind)
    def visit(tracer, call):
        source = tracer.channels(call.inputs[0])
        return None if source is None else kind(tracer, call, *source)

    return visit


def follow(tracer, call):
    """Output channels are the input channels."""
    source = along_layer_axis(tracer, call)
    if source is not None:
        tracer.record_weights(call.layer, source[1], source[1])
        tracer.record_width(call, source[1])
    return source


def norm(tracer, call):
    """Statistics per channel, or over channels: batch and layer norm."""
    layer = call.layer
    axis = _norm_axis(layer, call)
    source = _source_along(tracer, call, axis)
    if axis is None:
        return None
    if source is None:
        source = (axis, tracer.fixed(call.inputs[0].shape[axis]))
    tracer.record_weights(layer, source[1], source[1])
    return source


def group_norm(tracer, call):
    """Statistics over parts of the channels, all of one size."""
    layer = call.layer
    source = norm(tracer, call)
    if source is None:
        return None
    _, units = source
    if layer.groups == len(units):  # each channel alone
        tracer.record_attribute(layer, "groups", units)
    elif layer.groups > 1:
        why = f"`{layer.name}` normalizes {layer.groups} parts"
        tracer.tie_parts(units, layer.groups, why)
    return source


@on_channels
def parametric(tracer, call, axis, units):
    """A weight for each channel, maybe at each position: PReLU."""
    layer = call.layer
    if axis in (getattr(layer, "shared_axes", None) or ()):
        return axis, units
    labels = [None] * (len(call.inputs[0].shape) - 1)
    labels[axis - 1] = "out"
    tracer.record_weights(layer, units, units, labels=tuple(labels))
    return axis, units


@on_channels
def constants(tracer, call, axis, units):
    """Constants that the layer may have for each channel."""
    layer = call.layer
    names = ("scale", "offset", "mean", "variance", "input_mean")
    sizes = [np.size(getattr(layer, name, None)) for name in names]
    if max(sizes) > 1:
        tracer.freeze(
            call.inputs,
            f"layer `{layer.name}` has constants for each channel",
        )
        return None
    return axis, units


@on_channels
def pad(tracer, call, axis, units):
    """Padding of positions, or of channels, which freezes them."""
    if call.inputs[0].shape[axis] != call.outputs[0].shape[axis]:
        tracer.freeze(call.inputs, f"`{call.layer.name}` adds channels to it")
        return None
    return axis, units


def along_layer_axis(tracer, call):
    """Channels of the input, if they are where the layer has channels."""
    source = tracer.channels(call.inputs[0])
    if source is None or not hasattr(call.layer, "data_format"):
        return source
    if source[0] != tracer.input_channel_axis(call):
        tracer.freeze(
            call.inputs, f"`{call.layer.name}` has channels along another axis"
        )
        return None
    return source


def _norm_axis(layer, call):
    axis = layer.axis
    if isinstance(axis, (list, tuple)):
        axis = axis[0] if len(axis) == 1 else None
    return None if axis is None else axis % len(call.inputs[0].shape)


def _source_along(tracer, call, axis):
    source = tracer.channels(call.inputs[0])
    if source is not None and axis != source[0]:
        tracer.freeze(
            call.inputs,
            f"layer `{call.layer.name}` normalizes along axis "
            f"{call.layer.axis}, not along the channel axis {source[0]}",
        )
        return None
    return source

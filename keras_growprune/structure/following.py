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
    """Statistics per channel, or over channels: batch and layer norm.

    Its weights follow the axes that its argument names. Where the channels
    are along another one, it passes them on, and its weights stay.
    """
    layer = call.layer
    named = norm_axes(layer, len(call.inputs[0].shape))
    if named != sorted(named):  # Keras mixes the entries of gamma up
        tracer.freeze(
            call.inputs,
            f"layer `{layer.name}` counts its axes {layer.axis} from both ends",
        )
        return None
    source = tracer.channels(call.inputs[0])
    axis, units = source or (
        named[-1],
        tracer.fixed(call.inputs[0].shape[named[-1]]),
    )
    labels = tuple("out" if each == axis else None for each in named)
    tracer.record_weights(layer, units, units, labels=labels)
    return source


def norm_axes(layer, rank):
    """Axes that the weights of a norm follow, a list.

    Args:
        layer: A norm.
        rank: Number of axes of its input.
    """
    return [int(axis) % rank for axis in np.atleast_1d(layer.axis)]


def group_norm(tracer, call):
    """Statistics over parts of the channels, all of one size."""
    layer = call.layer
    source = norm(tracer, call)
    if source is None:
        return None
    axis, units = source
    if norm_axes(layer, len(call.inputs[0].shape)) != [axis]:
        return source
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

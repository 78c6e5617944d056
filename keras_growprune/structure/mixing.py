"""Layers with weights of their own between channels."""

import numpy as np

_ATTENTION = ("query", "value", "key")  # arguments, in their order


def mix(tracer, call):
    """New channels out of all old ones: convolution, dense."""
    layer = call.layer
    axis = tracer.output_channel_axis(call)
    groups = getattr(layer, "groups", 1)
    incoming = tracer.incoming(call, tracer.input_channel_axis(call))
    if 1 < groups == len(incoming) and not tracer.is_fixed(incoming):
        return _each_channel_alone(tracer, call, axis, incoming)
    size = call.outputs[0].shape[axis]
    outgoing = tracer.units_of_layer(layer, size)
    if groups > 1:
        # Each part reads as many channels as the others and writes as many:
        # units live and die in multiples of the number of parts.
        why = f"`{layer.name}` works in {groups} parts"
        incoming = tracer.tie_parts(incoming, groups, why)
        tracer.tie_parts(outgoing, groups, why)
    tracer.record_weights(layer, incoming, outgoing)
    tracer.record_width(call, outgoing)
    return axis, outgoing


def _each_channel_alone(tracer, call, axis, incoming):
    """A grouped convolution with one input channel in each part."""
    layer = call.layer
    size = call.outputs[0].shape[axis]
    outgoing = np.repeat(incoming, size // len(incoming))
    tracer.record_weights(layer, tracer.fixed(1), outgoing)
    tracer.record_width(call, outgoing)
    tracer.record_attribute(layer, "groups", incoming)
    return axis, outgoing


def depthwise(tracer, call):
    """Each channel on its own, `depth_multiplier` outputs for each."""
    layer = call.layer
    axis = tracer.output_channel_axis(call)
    incoming = tracer.incoming(call, tracer.input_channel_axis(call))
    outgoing = np.repeat(incoming, layer.depth_multiplier)
    tracer.record_weights(layer, incoming, outgoing)
    return axis, outgoing


def separable(tracer, call):
    """A depthwise convolution, then one of size 1 that mixes."""
    layer = call.layer
    axis = tracer.output_channel_axis(call)
    incoming = tracer.incoming(call, tracer.input_channel_axis(call))
    middle = np.repeat(incoming, layer.depth_multiplier)
    size = call.outputs[0].shape[axis]
    outgoing = tracer.units_of_layer(layer, size)
    tracer.record_weights(layer, incoming, outgoing, middle)
    tracer.record_width(call, outgoing)
    return axis, outgoing


def attention(tracer, call):
    """Multi-head attention: as many channels come out as its queries have.

    The heads and their widths stay as they are.
    """
    layer = call.layer
    axis = len(call.outputs[0].shape) - 1
    tensors = [call.argument(name, i) for i, name in enumerate(_ATTENTION)]
    query, value = (tracer.incoming(call, axis, t) for t in tensors[:2])
    key = value
    if tensors[2] is not None:
        key = tracer.incoming(call, axis, tensors[2])
    outgoing = query
    if len(query) != call.outputs[0].shape[axis]:
        outgoing = tracer.fixed(call.outputs[0].shape[axis])
    for name, incoming in zip(_ATTENTION, (query, value, key)):
        tracer.record_weights(layer, incoming, outgoing, only=f"{name}_dense.")
    tracer.record_weights(layer, query, outgoing, only="output_dense.")
    return axis, outgoing

"""How each kind of layer passes channels on: one function per kind.

Each takes the tracer and one call and returns the channels of the output:
`(axis, units)`, or None where no channel of it can change.
"""

import numpy as np


def mix(tracer, call):
    """New channels out of all old ones: convolution, dense."""
    layer = call.operation
    axis = tracer.layer_channel_axis(call)
    if getattr(layer, "groups", 1) != 1:
        # Units would have to come and go in multiples of the groups.
        tracer.freeze(call.inputs, f"layer `{layer.name}` is grouped")
        incoming = tracer.fixed(call.inputs[0].shape[axis] // layer.groups)
    else:
        incoming = tracer.incoming(call, axis)
    size = call.outputs[0].shape[axis]
    outgoing = tracer.units_of_layer(layer, size)
    tracer.record_weights(layer, incoming, outgoing)
    if getattr(layer, "groups", 1) != 1:
        tracer.freeze_units(outgoing, "it is a grouped convolution")
    return (axis, outgoing)


def norm(tracer, call):
    """Statistics per channel, or over channels: batch and layer norm."""
    layer = call.operation
    source = tracer.channels(call.inputs[0])
    rank = len(call.inputs[0].shape)
    axis = layer.axis
    if isinstance(axis, (list, tuple)):
        axis = axis[0] if len(axis) == 1 else None
    axis = None if axis is None else axis % rank
    if source is not None and axis != source[0]:
        tracer.freeze(
            call.inputs,
            f"layer `{layer.name}` normalizes along axis {layer.axis}, not "
            f"along the channel axis {source[0]}",
        )
        source = None
    if axis is None:
        return None
    if source is None:
        source = (axis, tracer.fixed(call.inputs[0].shape[axis]))
    tracer.record_weights(layer, source[1], source[1])
    return source


def depthwise(tracer, call):
    """Each channel on its own, `depth_multiplier` outputs for each."""
    layer = call.operation
    axis = tracer.layer_channel_axis(call)
    incoming = tracer.incoming(call, axis)
    outgoing = np.repeat(incoming, layer.depth_multiplier)
    tracer.record_weights(layer, incoming, outgoing)
    return (axis, outgoing)


def follow(tracer, call):
    """Output channels are the input channels."""
    source = tracer.channels(call.inputs[0])
    if source is not None:
        tracer.record_weights(call.operation, source[1], source[1])
    return source


def pool(tracer, call):
    """Global pooling: only batch and channels stay."""
    source = tracer.channels(call.inputs[0])
    if source is None:
        return None
    keeps_axes = len(call.outputs[0].shape) == len(call.inputs[0].shape)
    return (source[0] if keeps_axes else 1, source[1])


def flatten(tracer, call):
    """Positions and channels in one axis."""
    source = tracer.channels(call.inputs[0])
    if source is None:
        return None
    axis, units = source
    shape = call.inputs[0].shape[1:]
    if None in shape:
        tracer.freeze(
            call.inputs,
            f"layer `{call.operation.name}` flattens an input of unknown size",
        )
        return None
    if getattr(call.operation, "data_format", None) == "channels_first":
        # Flatten moves the channel axis to the end before it flattens.
        shape = shape[1:] + shape[:1]
        axis = len(shape) if axis == 1 else axis - 1
    before = int(np.prod(shape[: axis - 1]))
    after = int(np.prod(shape[axis:]))
    return (1, np.tile(np.repeat(units, after), before))


def unite(tracer, call):
    """Sums: the k-th channels of all inputs are the same unit."""
    sources = [tracer.channels(tensor) for tensor in call.inputs]
    known = [source for source in sources if source is not None]
    if not known:
        return None
    shapes = {tuple(tensor.shape) for tensor in call.inputs}
    axes = {source[0] for source in known}
    if len(known) < len(sources) or len(axes) > 1 or len(shapes) > 1:
        tracer.freeze(
            call.inputs,
            f"layer `{call.operation.name}` joins it with channels that "
            "cannot change",
        )
        return None
    for source in known[1:]:
        tracer.unite(known[0][1], source[1])
    return known[0]


def gate(tracer, call):
    """A residual sum, or a skip, whose branch may leave the network."""
    tracer.record_gate(call)
    return unite(tracer, call)


KINDS = {
    "mix": mix,
    "norm": norm,
    "depthwise": depthwise,
    "follow": follow,
    "pool": pool,
    "flatten": flatten,
    "unite": unite,
    "gate": gate,
    "skip": gate,
}

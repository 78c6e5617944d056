"""Where a network multiplies: which weight, and how often."""

import dataclasses

import numpy as np

from keras_growprune.structure import WeightAxes
from keras_growprune.structure import axes_of
from keras_growprune.structure import channel_axis
from keras_growprune.structure import is_reverse
from keras_growprune.structure import recurrent_parts


@dataclasses.dataclass(frozen=True)
class Multiplication:
    """One weight in one call of its layer.

    Attributes:
        call: The call.
        weight: The weight, a `WeightAxes`.
        times: Multiply-adds for each pair of an input and an output channel
            (for each channel, where the weight has one such axis).
        outputs: Number of output values of one example, in the full network.
    """

    call: object
    weight: WeightAxes
    times: float
    outputs: int


def find_multiplications(channel_map):
    """Returns the `Multiplication`s of a network, in the order of its calls.

    Args:
        channel_map: A `ChannelMap`.

    Raises:
        ValueError: If a layer's input has no fixed size, so that nobody can
            say how often its weights are used.
    """
    weights = {
        (id(weight.layer), weight.attribute): weight
        for weight in channel_map.weights
    }
    found = []
    for call in channel_map.calls:
        for weight in _weights_of(call, weights):
            tensors = {"output": call.outputs, "input": call.inputs}
            positions = axes_of(weight.layer).positions
            uses = _positions(call, tensors[positions][0])
            found.append(
                Multiplication(
                    call=call,
                    weight=weight,
                    times=float(uses * weight.fixed_size),
                    outputs=_positions(call, call.outputs[0])
                    * _full_channels(channel_map, call.outputs[0]),
                )
            )
    return found


def _weights_of(call, weights):
    """The `WeightAxes` of the weights that a call multiplies by."""
    for layer in recurrent_parts(call.layer) or [call.layer]:
        known = axes_of(layer)
        if known is None:
            continue
        if known.channels == "embedding" and not is_reverse(call):
            continue  # it looks vectors up
        for attribute in known.multiplies:
            if (id(layer), attribute) in weights:
                yield weights[id(layer), attribute]


def _full_channels(channel_map, tensor):
    known = channel_map.channels.get(id(tensor))
    # Not by its shape where widths change: it may be narrow at present.
    return tensor.shape[-1] if known is None else len(known.units)


def _positions(call, tensor):
    axis = channel_axis(call.layer, tensor)
    if call.layer is not call.operation and axis == 1:
        axis = 2  # channels first, behind the time axis
    sizes = [s for i, s in enumerate(tensor.shape) if i not in (0, axis)]
    if None in sizes:
        raise ValueError(
            "FLOPs and times are known for inputs of a fixed size only. "
            "Received: "
            f"layer `{call.operation.name}` works on a tensor of shape "
            f"{tuple(tensor.shape)}. Give `keras.Input` all sizes but the "
            "batch, or use `Budget(params=...)`."
        )
    return int(np.prod(sizes))

"""FLOPs of one example's forward pass."""

import numpy as np

from keras_growprune import keras_internals
from keras_growprune.cost.cost import ProductCost
from keras_growprune.structure import axes_of
from keras_growprune.structure import trace_channels


class FlopsCost(ProductCost):
    """Multiply-adds of convolutions and dense layers, each counted as one.

    This is how the papers count (ResNet-20 on 32 x 32 images has 41 M).
    Norms, activations and poolings are not counted.

    Args:
        channel_map: A `ChannelMap`.

    Raises:
        ValueError: If a layer's input has no fixed size, so that nobody can
            say how often its weights are used.
    """

    measure = "flops"

    def __init__(self, channel_map):
        weights = {
            (id(weight.layer), weight.attribute): weight
            for weight in channel_map.weights
        }
        terms = {}
        for call in channel_map.calls:
            known = axes_of(call.operation)
            for attribute in known.multiplies if known else ():
                weight = weights.get((id(call.operation), attribute))
                if weight is None:
                    continue
                fixed = [
                    size
                    for size, units in zip(weight.full_shape, weight.units)
                    if units is None
                ]
                times = _positions(call, known.positions)
                key = id(weight)
                before = terms[key][1] if key in terms else 0.0
                terms[key] = (weight, before + times * float(np.prod(fixed)))
        super().__init__(channel_map, list(terms.values()))


def _positions(call, where):
    tensor = (call.outputs if where == "output" else call.inputs)[0]
    rank = len(tensor.shape)
    first = getattr(call.operation, "data_format", None) == "channels_first"
    channel_axis = 1 if first else rank - 1
    sizes = [
        s for i, s in enumerate(tensor.shape) if i not in (0, channel_axis)
    ]
    if None in sizes:
        raise ValueError(
            "FLOPs can only be counted for inputs of a fixed size. Received: "
            f"layer `{call.operation.name}` works on a tensor of shape "
            f"{tuple(tensor.shape)}. Give `keras.Input` all sizes but the "
            "batch, or use `Budget(params=...)`."
        )
    return float(np.prod(sizes))


def count_flops(model):
    """Counts the FLOPs of one example's forward pass through a model.

    Args:
        model: A functional `keras.Model` (or a built Sequential one) of
            layers that the library knows: convolutions, depthwise
            convolutions, dense layers. Other layers count as nothing.

    Returns:
        Multiply-adds, each counted as one, as an integer.

    Raises:
        ValueError: If the size of an input is not fixed.

    Example:

    ```python
    kgp.count_flops(keras.Model(*kgp.models.resnet(depth=20)))  # 40.8 M
    ```
    """
    calls = keras_internals.graph_calls(model)
    return int(FlopsCost(trace_channels(calls, model.outputs)).full)

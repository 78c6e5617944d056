"""FLOPs of one example's forward pass."""

import keras

from keras_growprune import keras_internals
from keras_growprune.cost.cost import ProductCost
from keras_growprune.cost.multiplications import find_multiplications
from keras_growprune.structure import GraphCopy
from keras_growprune.structure import expand_call
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
        found = find_multiplications(channel_map)
        super().__init__(channel_map, [(m.weight, m.times) for m in found])


def count_flops(model):
    """Counts the FLOPs of one example's forward pass through a model.

    Args:
        model: A functional `keras.Model` (or a built Sequential one), maybe
            with models inside. Convolutions of all kinds, dense layers and
            the projections of attention count; other layers do not.

    Returns:
        Multiply-adds, each counted as one, as an integer.

    Raises:
        ValueError: If the size of an input is not fixed, or the model is
            neither functional nor a built Sequential one.

    Example:

    ```python
    model = keras.Model(*kgp.models.resnet(depth=20))
    kgp.count_flops(model)  # 40_813_184
    ```
    """
    graph = keras_internals.functional_graph(model)
    if graph is None:
        raise ValueError(
            "FLOPs can be counted of a functional model or of a built "
            f"Sequential one. Received: model `{model.name}` of type "
            f"{type(model).__name__}"
        )
    if any(keras_internals.parts(layer) for layer in graph.layers):
        copy = GraphCopy(graph, expand=expand_call)  # without models inside
        graph = keras.Model(copy.inputs, copy.outputs)
    calls = keras_internals.graph_calls(graph)
    return round(FlopsCost(trace_channels(calls, graph.outputs)).full)

"""What a plain network costs, and each of its layers."""

import dataclasses
import math

import keras

from keras_growprune import keras_internals
from keras_growprune.cost import count_flops
from keras_growprune.cost.multiplications import find_multiplications
from keras_growprune.structure import GraphCopy
from keras_growprune.structure import expand_call
from keras_growprune.structure import trace_channels


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """A layer that has weights.

    Attributes:
        name, kind: Its name and the name of its class.
        shape: Shape of its (first) output, or None where there is no graph.
        params: Number of its parameters.
        flops: Multiply-adds of one example in all its calls; None where none
            are counted, or none are known.
    """

    name: str
    kind: str
    shape: tuple | None
    params: int
    flops: int | None


def flops_of(model):
    """FLOPs of one example's forward pass.

    Args:
        model: A plain `keras.Model`.

    Returns:
        `(FLOPs, None)`, or `(None, why they are not known)`.
    """
    try:
        return count_flops(model), None
    except ValueError as error:
        return None, str(error)


def layer_costs(model):
    """What each layer that has weights costs.

    Args:
        model: A plain `keras.Model`; models inside are taken apart.

    Returns:
        List of `LayerCost`.
    """
    graph = keras_internals.functional_graph(model)
    if graph is None:
        return [_cost(layer) for layer in model.layers if layer.weights]
    if any(keras_internals.parts(layer) for layer in graph.layers):
        copy = GraphCopy(graph, expand=expand_call)
        graph = keras.Model(copy.inputs, copy.outputs)
    calls = keras_internals.graph_calls(graph)
    flops = _flops(calls, graph)
    first = {}
    for call in calls:
        if getattr(call.operation, "weights", ()):
            first.setdefault(id(call.operation), call)
    return [
        _cost(call.operation, call.outputs[0].shape, flops.get(key))
        for key, call in first.items()
    ]


def _cost(layer, shape=None, flops=None):
    return LayerCost(
        layer.name, type(layer).__name__, shape, layer.count_params(), flops
    )


def _flops(calls, graph):
    """FLOPs by the `id` of a layer."""
    try:
        found = find_multiplications(trace_channels(calls, graph.outputs))
    except ValueError:  # the total says why
        return {}
    flops = {}
    for each in found:
        lengths = [len(u) for u in each.weight.units if u is not None]
        key = id(each.call.operation)
        count = round(each.times * math.prod(lengths))
        flops[key] = flops.get(key, 0) + count
    return flops

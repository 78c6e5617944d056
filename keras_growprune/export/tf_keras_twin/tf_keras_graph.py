"""Functional models of tf_keras as graphs that can be rebuilt."""

import inspect

import keras
import tensorflow as tf

from keras_growprune.export.tf_keras_twin.graph import NoTwin
from keras_growprune.export.tf_keras_twin.graph import TwinCall
from keras_growprune.export.tf_keras_twin.graph import TwinGraph


def tf_keras_graph(model):
    """The graph of a built model.

    Nothing but public names: each tensor comes from a node of one of the
    model's layers.

    Args:
        model: A functional `tf_keras.Model`, or a built Sequential one.

    Returns:
        A `TwinGraph`, of the calls that its outputs need.

    Raises:
        NoTwin: If an output comes from elsewhere.
    """
    names = {
        id(tensor): name
        for tensor, name in zip(model.inputs, model.input_names)
    }
    nodes = {
        id(tensor): node
        for layer in model.layers
        for node in layer.inbound_nodes
        for tensor in tf.nest.flatten(node.outputs)
    }
    calls, seen = [], set(names)
    # Depth first, without recursion: graphs are deeper than Python's stack.
    stack = list(reversed(model.outputs))
    while stack:
        tensor = stack[-1]
        node = nodes.get(id(tensor))
        if id(tensor) in seen:
            stack.pop()
            continue
        if node is None:
            raise NoTwin(f"{tensor} comes from none of its layers")
        args, kwargs = _arguments(node)
        missing = [
            each
            for each in keras.tree.flatten((args, kwargs))
            if "KerasTensor" in type(each).__name__ and id(each) not in seen
        ]
        if missing:
            stack.extend(reversed(missing))
            continue
        outputs = tf.nest.flatten(node.outputs)
        calls.append(TwinCall(node.outbound_layer, args, kwargs, outputs))
        seen.update(map(id, outputs))
    return TwinGraph(model.input, model.output, names, calls)


def _arguments(node):
    """The first argument of a layer, and the others by their names."""
    layer = node.outbound_layer
    args, kwargs = node.call_args, node.call_kwargs
    if hasattr(layer, "symbol"):  # an operator, its arguments as they are
        kwargs = {k: _constant(v) for k, v in kwargs.items() if k != "name"}
        return tuple(map(_constant, args)), kwargs
    signature = inspect.signature(layer.call)
    bound = signature.bind(*args, **kwargs).arguments
    name = next(iter(signature.parameters))
    first = bound.pop(name)
    kwargs = {**bound.pop("kwargs", {}), **bound}
    if _takes_states(layer) and isinstance(first, (list, tuple)):
        first, *states = first
        kwargs["initial_state"] = states
    kwargs = {
        key: value
        for key, value in kwargs.items()
        if value is not None and not (key == "training" and not value)
    }
    return (first,), kwargs


def _takes_states(layer):
    """Whether states come in one list with the first argument."""
    is_recurrent = hasattr(layer, "return_state")
    return is_recurrent or type(layer).__name__ == "Bidirectional"


def _constant(value):
    return value.numpy() if isinstance(value, tf.Tensor) else value

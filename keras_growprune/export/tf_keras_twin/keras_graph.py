"""Functional models of Keras 3 as graphs that can be rebuilt."""

import inspect

import keras

from keras_growprune import keras_internals
from keras_growprune.export.tf_keras_twin.graph import TwinCall
from keras_growprune.export.tf_keras_twin.graph import TwinGraph


def keras_graph(model):
    """The graph of a built model.

    Args:
        model: A functional `keras.Model`, or a built Sequential one.

    Returns:
        A `TwinGraph`, of the calls that its outputs need.
    """
    functional = keras_internals.functional_graph(model)
    inputs, outputs = keras_internals.graph_structure(functional)
    needed = {id(tensor) for tensor in keras.tree.flatten(outputs)}
    calls = []
    for call in reversed(keras_internals.graph_calls(functional)):
        if call.node.is_input or not needed & set(map(id, call.outputs)):
            continue
        args, kwargs = _arguments(call)
        calls.append(TwinCall(call.operation, args, kwargs, call.outputs))
        # A graph also computes the masks that come along by themselves.
        needed.update(map(id, keras.tree.flatten((args, kwargs))))
    names = {
        id(tensor): keras_internals.producer_name(tensor)
        for tensor in keras.tree.flatten(inputs)
    }
    return TwinGraph(inputs, outputs, names, calls[::-1])


def _arguments(call):
    """The first argument of a layer, and the others by their names."""
    if not isinstance(call.operation, keras.layers.Layer):
        return call.arguments, call.keywords
    signature = inspect.signature(call.operation.call)
    bound = signature.bind(*call.arguments, **call.keywords).arguments
    first = next(iter(signature.parameters))
    bound.update(bound.pop("kwargs", {}))
    kwargs = {
        name: value
        for name, value in bound.items()
        # `fit` and `predict` say themselves whether they train.
        if name not in (first, "training")
        and value is not None
        and not _comes_along(name, value, bound, first)
    }
    return (bound[first],), kwargs


def _comes_along(name, value, arguments, first):
    """Whether a mask is the one that an argument carries along anyway."""
    if not name.endswith("mask") or name == "attention_mask":
        return False
    source = name.removesuffix("_mask") if name != "mask" else first
    if source == "key" and arguments.get(source) is None:
        source = "value"  # which attention takes for its keys then
    tensors = keras.tree.flatten(arguments.get(source))
    masks = keras.tree.flatten(value)
    return len(masks) == len(tensors) and all(
        mask is keras_internals.mask_of(tensor)
        for mask, tensor in zip(masks, tensors)
    )

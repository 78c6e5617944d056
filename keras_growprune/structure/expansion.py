"""Layers with layers inside, as the graphs that they call."""

import keras
import numpy as np

from keras_growprune import keras_internals
from keras_growprune.structure.axes import axes_of


def expand_call(call):
    """The graph of layers that a layer with layers inside calls.

    Args:
        call: A call of any layer.

    Returns:
        A functional model with one input for each input tensor of the call;
        None where the library knows the layer itself, where it has no layers
        inside, or where its `call` does more than call layers.
    """
    layer = call.layer
    if axes_of(layer) is not None or not keras_internals.parts(layer):
        return None
    if isinstance(layer, keras.layers.Wrapper) or getattr(
        layer, "activity_regularizer", None
    ):
        return None
    if keras_internals.own_variables(layer):  # its call may change them
        return None
    inputs = [
        keras.Input(batch_shape=x.shape, dtype=x.dtype) for x in call.inputs
    ]
    remaining = iter(inputs)

    def replace(value):
        return next(remaining) if keras.utils.is_keras_tensor(value) else value

    args, kwargs = keras.tree.map_structure(
        replace, (call.arguments, call.keywords)
    )
    kwargs.pop("training", None)
    try:
        return keras.Model(inputs, call_on_symbols(layer, args, kwargs))
    except Exception:  # whatever it does: it stays one unknown layer
        return None


def call_on_symbols(layer, args, kwargs):
    """Calls `layer.call` on symbolic tensors, which records what it calls.

    Args:
        layer: A layer, or a model.
        args, kwargs: Arguments of its `call`, without `training`.

    Returns:
        What it returns.

    Raises:
        ValueError: If it calls other layers while it is training, or reads
            weights other than by calling layers.
        Exception: Whatever else `call` raises.
    """
    outputs = layer.call(*args, **kwargs)
    _check_reads_no_tensors(outputs)
    if keras_internals.takes_training(layer):
        operations = [
            _operations(layer.call(*args, **{**kwargs, "training": training}))
            for training in (True, False)
        ]
        if operations[0] != operations[1]:
            raise ValueError("it calls other layers while it is training")
    return outputs


def _check_reads_no_tensors(outputs):
    """Tensors made on the way, weights too, would be constants of the graph.

    That is what does not depend on the inputs: an embedding of positions, say,
    or a weight that is read without calling its layer.
    """
    for node in _nodes(outputs):
        arguments = (node.arguments.args, node.arguments.kwargs)
        for value in keras.tree.flatten(arguments):
            is_tensor = hasattr(value, "shape") and hasattr(value, "dtype")
            if (
                is_tensor
                and not keras.utils.is_keras_tensor(value)
                and not isinstance(value, (np.ndarray, np.generic))
            ):
                raise ValueError(
                    "it reads weights, or tensors of its own, other than by "
                    "calling layers on its inputs"
                )


def _nodes(outputs):
    """Nodes of the graph behind symbolic tensors."""
    seen, stack = {}, list(keras.tree.flatten(outputs))
    while stack:
        node = keras_internals.producing_node(stack.pop())
        if id(node) not in seen:
            seen[id(node)] = node
            stack.extend(node.input_tensors)
    return seen.values()


def _operations(outputs):
    """Names of all classes of operations in a graph, sorted."""
    return sorted(type(node.operation).__name__ for node in _nodes(outputs))

"""Layers with layers inside, as the graphs that they call."""

import keras

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
        ValueError: If it calls other layers while it is training.
        Exception: Whatever else `call` raises.
    """
    outputs = layer.call(*args, **kwargs)
    if keras_internals.takes_training(layer):
        operations = [
            _operations(layer.call(*args, **{**kwargs, "training": training}))
            for training in (True, False)
        ]
        if operations[0] != operations[1]:
            raise ValueError("it calls other layers while it is training")
    return outputs


def _operations(outputs):
    """Names of all classes of operations in a graph, sorted."""
    seen, names = set(), []
    stack = list(keras.tree.flatten(outputs))
    while stack:
        node = keras_internals.producing_node(stack.pop())
        if id(node) not in seen:
            seen.add(id(node))
            names.append(type(node.operation).__name__)
            stack.extend(node.input_tensors)
    return sorted(names)

"""Layers of users, as the graphs that they call."""

import keras
import numpy as np
from keras import ops

from keras_growprune import backend
from keras_growprune import keras_internals
from keras_growprune.structure.axes import axes_of


def may_be_expanded(layer):
    """Whether `expand_call` is worth a try."""
    if isinstance(layer, keras.layers.InputLayer):
        return False
    return bool(keras_internals.parts(layer)) or _is_of_user(layer)


def expand_call(call):
    """The graph that a layer of a user calls.

    Args:
        call: A call of any layer.

    Returns:
        A functional model with one input for each input tensor of the call;
        None where the library knows the layer itself, where its `call` does
        more than call layers and `keras.ops`, or where nothing is won.
    """
    layer = call.layer
    if axes_of(layer) is not None or not may_be_expanded(layer):
        return None
    if isinstance(layer, keras.layers.Wrapper) or getattr(
        layer, "activity_regularizer", None
    ):
        return None
    if keras_internals.own_variables(layer):  # its call may change them
        return None
    if keras_internals.parts(layer):
        return _expanded(call)
    if not _passes_tensors_as_they_are(call):
        return None
    graph = _expanded(call) or _constant(call)
    return graph if graph is not None and _is_known(graph) else None


def _is_of_user(layer):
    """Whether nobody but the user knows what a layer does."""
    is_layer = isinstance(layer, keras.layers.Layer)
    if not is_layer or axes_of(layer) is not None:
        return False
    is_keras = type(layer).__module__.startswith("keras.")
    return not is_keras or isinstance(layer, keras.layers.Lambda)


def _passes_tensors_as_they_are(call):
    """Whether a layer neither casts its inputs nor hands on their masks."""
    layer = call.layer
    return not any(
        (layer.supports_masking and keras_internals.has_mask(tensor))
        or ("float" in tensor.dtype and tensor.dtype != layer.compute_dtype)
        for tensor in call.inputs
    )


def _is_known(graph):
    return all(
        axes_of(call.layer) is not None
        for call in keras_internals.graph_calls(graph)
        if not call.node.is_input
    )


def _expanded(call):
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
        return keras.Model(inputs, call_on_symbols(call.layer, args, kwargs))
    except Exception:  # whatever it does: it stays one unknown layer
        return None


def _constant(call):
    """The graph of a layer that looks at nothing but its input's shape.

    Sinusoids for the positions of a sequence, say.
    """
    tensors, shape = call.inputs, call.outputs[0].shape
    if len(tensors) > 1 or tensors[0].shape != shape or None in shape[1:]:
        return None
    if keras_internals.takes_training(call.layer) or call.keywords:
        return None
    dtype = tensors[0].dtype
    try:
        value = backend.value_by_shape(call.layer.call, shape, dtype)
    except Exception:  # whatever it does: it stays one unknown layer
        return None
    if value is None:
        return None
    source = keras.Input(batch_shape=shape, dtype=dtype)
    return keras.Model(source, ops.add(ops.zeros_like(source), value))


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

    def call(**training):
        with _constants_as_symbols(layer, (args, kwargs)):
            return layer.call(*args, **kwargs, **training)

    outputs = call()
    with keras.StatelessScope(_other_values(layer.variables)):
        _check_same_constants(outputs, call())
    if keras_internals.takes_training(layer):
        operations = [
            _operations(call(training=training)) for training in (True, False)
        ]
        if operations[0] != operations[1]:
            raise ValueError("it calls other layers while it is training")
    return outputs


def _constants_as_symbols(layer, arguments):
    """Inside, layers that a layer calls on constants are part of the graph.

    Only what depends on an input is: so a zero is added that does. (An
    embedding of `ops.arange(length)` is called like this.)
    """
    tensors = filter(keras.utils.is_keras_tensor, keras.tree.flatten(arguments))
    anchor = next(tensors)

    def change(args, kwargs):
        values = keras.tree.flatten((args, kwargs))
        if any(map(keras.utils.is_keras_tensor, values)) or not args:
            return args, kwargs
        value = ops.convert_to_tensor(args[0])
        zero = ops.sum(ops.zeros_like(anchor, dtype=value.dtype))
        return (ops.add(zero, value), *args[1:]), kwargs

    parts = [p for p in keras_internals.all_layers(layer) if p.variables]
    return keras_internals.changing_arguments(parts, change)


def _other_values(variables):
    """Pairs of variables and values that they do not have."""
    return [
        (
            variable,
            ops.logical_not(variable)
            if variable.dtype == "bool"
            else ops.add(variable, ops.cast(1, variable.dtype)),
        )
        for variable in variables
    ]


def _check_same_constants(outputs, others):
    """What becomes a constant of the graph must be one.

    Args:
        outputs: Symbolic tensors.
        others: The same, called while weights have other values.
    """
    first, second = _constants(outputs), _constants(others)
    is_same = len(first) == len(second) and all(
        one is not None and other is not None and np.array_equal(one, other)
        for one, other in zip(first, second)
    )
    if not is_same:
        raise ValueError(
            "it reads weights other than by calling layers, or draws random "
            "numbers"
        )


def _constants(outputs):
    """Arrays and tensors in a graph; None where that is a variable."""
    found = []
    for node in _nodes(outputs):
        values = keras.tree.flatten(
            (node.arguments.args, node.arguments.kwargs)
        )
        if not isinstance(node.operation, keras.layers.Layer):
            values += vars(node.operation).values()
        for value in values:
            if isinstance(value, keras.Variable):
                found.append(None)
            elif isinstance(value, np.ndarray) or ops.is_tensor(value):
                found.append(ops.convert_to_numpy(value))
    return found


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

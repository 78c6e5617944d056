"""The functional graph of any kind of Keras model, and of layers in it."""

import keras

from keras_growprune import keras_internals
from keras_growprune.structure import axes_of
from keras_growprune.training import GrowPruneModel


def as_functional(model):
    """Returns a functional model that calls the layers of a model.

    Args:
        model: A functional model, a built Sequential one, or a built
            subclassed one whose `call` only calls layers and `keras.ops`.

    Raises:
        ValueError: If it is none of these.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            "Argument `model` must be a `keras.Model`. Received: "
            f"model={model!r} of type {type(model).__name__}"
        )
    if isinstance(model, GrowPruneModel):
        raise ValueError(
            f"Model `{model.name}` grows already. Call its `fit`, or begin "
            "anew with the network that `compact()` returns."
        )
    graph = keras_internals.functional_graph(model)
    if graph is not None:
        return graph
    shapes = keras_internals.input_shapes(model)
    if shapes is None:
        raise ValueError(
            f"Model `{model.name}` is not built, so its shapes are not known. "
            "Call it once on a batch, or add a `keras.Input` in front."
        )
    inputs = keras.tree.map_shape_structure(
        lambda shape: keras.Input(batch_shape=(None, *shape[1:])), shapes
    )
    try:
        outputs = _call_on_symbols(model, (inputs,), {})
    except Exception as error:
        raise ValueError(
            f"The `call` of model `{model.name}` (a subclass of "
            "`keras.Model`) cannot be written as a graph of layers: it must "
            "only call layers and `keras.ops`, the same ones whether it is "
            "training or not. Write it as a functional model. "
            f"{type(error).__name__}: {error}"
        ) from error
    return keras.Model(inputs, outputs, name=model.name)


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
        return keras.Model(inputs, _call_on_symbols(layer, args, kwargs))
    except Exception:  # whatever it does: it stays one unknown layer
        return None


def _call_on_symbols(layer, args, kwargs):
    """Calls `layer.call`, which must not depend on whether it is training."""
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

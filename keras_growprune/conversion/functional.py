"""The functional graph of any kind of Keras model."""

import keras

from keras_growprune import keras_internals
from keras_growprune.structure import call_on_symbols
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
    if len(shapes) > 1:
        raise ValueError(
            f"The `call` of model `{model.name}` takes several arguments. "
            "Expected: one, which may be a list or a dict of tensors. "
            f"Received: {', '.join(shapes)}"
        )
    (shapes,) = shapes.values()
    inputs = _inputs(shapes)
    try:
        outputs = call_on_symbols(model, (inputs,), {})
    except Exception as error:
        raise ValueError(
            f"The `call` of model `{model.name}` (a subclass of "
            "`keras.Model`) cannot be written as a graph of layers: it must "
            "only call layers and `keras.ops`, the same ones whether it is "
            "training or not. Write it as a functional model. "
            f"{type(error).__name__}: {error}"
        ) from error
    return keras.Model(inputs, outputs, name=model.name)


def _inputs(shapes, name=None):
    """Inputs for a structure of shapes, called by the keys of its dicts."""
    if isinstance(shapes, dict):
        return {key: _inputs(shape, key) for key, shape in shapes.items()}
    if isinstance(shapes, (list, tuple)) and any(
        isinstance(each, (list, tuple, dict)) for each in shapes
    ):
        return [_inputs(shape) for shape in shapes]
    return keras.Input(batch_shape=(None, *shapes[1:]), name=name)

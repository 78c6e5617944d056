"""The same network, written so that a converter takes it."""

import keras

from keras_growprune import keras_internals

_HALF = ("float16", "bfloat16")


def in_float32(model):
    """The network itself, or a copy of one in mixed precision.

    Other runtimes have no kernels for the mixture.

    Args:
        model: A plain functional `keras.Model`.

    Returns:
        `model`, where no layer computes in float16 or bfloat16; else a new
        `keras.Model` with the same weights that computes in float32.

    Example:

    ```python
    inputs = keras.Input((8,))
    outputs = keras.layers.Dense(4, dtype="mixed_float16")(inputs)
    single = kgp.export.in_float32(keras.Model(inputs, outputs))
    single.layers[-1].compute_dtype  # "float32"
    ```
    """

    def is_half(layer):  # operations have no type of their own
        return getattr(layer, "compute_dtype", None) in _HALF

    if not any(map(is_half, keras_internals.all_layers(model))):
        return model

    def clone(layer):
        if not isinstance(layer, keras.layers.Layer):
            return keras_internals.clone_operation(layer)
        config = layer.get_config()
        if is_half(layer):
            config["dtype"] = "float32"
        return type(layer).from_config(config)

    return _copy(model, clone)


def is_stateful(model):
    """Whether a network remembers from one call to the next."""
    return any(
        part.stateful
        for layer in keras_internals.all_layers(model)
        for part in _recurrent_parts(layer)
    )


def stateless(model):
    """A copy whose every call starts anew, for batches of any size.

    Args:
        model: A plain functional `keras.Model`.
    """
    structure, _ = keras_internals.graph_structure(model)
    inputs = keras.tree.map_structure(
        lambda x: keras.Input(x.shape[1:], dtype=x.dtype, name=x.name),
        structure,
    )

    def change(layer):
        for each in (layer, *_recurrent_parts(layer)):
            each.stateful = False

    return _copy(model, _clone_with(change), inputs)


def is_recurrent(model):
    """Whether a network has recurrent layers."""
    return any(map(_recurrent_parts, keras_internals.all_layers(model)))


def unrolled(model):
    """A copy whose recurrent layers are written out step by step.

    LiteRT's converter ends its process where it is to quantize the loop of a
    recurrent layer.

    Args:
        model: A plain functional `keras.Model`.

    Raises:
        ValueError: If the number of steps is not fixed.
    """

    def change(layer):
        for part in _recurrent_parts(layer):
            part.unroll = True

    for layer in keras_internals.all_layers(model):
        if _recurrent_parts(layer):
            _check_steps(model, layer)
    return _copy(model, _clone_with(change))


def _recurrent_parts(layer):
    if isinstance(layer, keras.layers.TimeDistributed):
        layer = layer.layer
    parts = [layer]
    if isinstance(layer, keras.layers.Bidirectional):
        parts = [layer.forward_layer, layer.backward_layer]
    return [part for part in parts if isinstance(part, keras.layers.RNN)]


def _check_steps(model, layer):
    # Of a layer inside another one nobody knows, and the copy tells.
    for tensor in keras.tree.flatten(getattr(layer, "input", [])):
        if len(tensor.shape) > 2 and tensor.shape[1] is None:
            raise ValueError(
                f"The steps of layer `{layer.name}` of model `{model.name}` "
                "are not fixed, and LiteRT quantizes recurrent layers to "
                "integers with a fixed number of steps only. Received: input "
                f"shape {tuple(tensor.shape)}. Give `keras.Input` the number "
                "of steps, or choose quantization='dynamic_range'."
            )


def _clone_with(change):
    """A function that copies layers; those that are recurrent, changed."""

    def clone(layer):
        if not isinstance(layer, keras.layers.Layer):
            return keras_internals.clone_operation(layer)
        copy = type(layer).from_config(layer.get_config())
        if _recurrent_parts(copy):
            change(copy)
        return copy

    return clone


def _copy(model, clone, inputs=None):
    layers = keras_internals.all_layers(model)
    copy = keras.models.clone_model(
        model,
        input_tensors=inputs,
        clone_function=clone,
        recursive=any(isinstance(layer, keras.Model) for layer in layers),
    )
    copy.set_weights(model.get_weights())
    return copy

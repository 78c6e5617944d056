"""The same network, written so that a converter takes it."""

import keras

from keras_growprune import keras_internals

_HALF = ("float16", "bfloat16")


def in_float32(model):
    """The network itself, or a copy of one in mixed precision.

    Other runtimes have no kernels for the mixture.

    Args:
        model: A plain functional `keras.Model`.
    """

    def is_half(layer):  # operations have no type of their own
        return getattr(layer, "compute_dtype", None) in _HALF

    if not any(map(is_half, model.layers)):
        return model

    def clone(layer):
        if not isinstance(layer, keras.layers.Layer):
            return keras_internals.clone_operation(layer)
        config = layer.get_config()
        if is_half(layer):
            config["dtype"] = "float32"
        return type(layer).from_config(config)

    return _copy(model, clone)


def check_stateless(model):
    """Refuses networks that remember from one call to the next.

    Args:
        model: A plain functional `keras.Model`.

    Raises:
        ValueError: If a recurrent layer is stateful.
    """
    for layer in keras_internals.all_layers(model):
        if any(part.stateful for part in _recurrent_parts(layer)):
            raise ValueError(
                f"Layer `{layer.name}` of model `{model.name}` is stateful: "
                "what a file answers would depend on who asked it before. "
                "Expected: stateful=False. Write the network anew with that, "
                "and give it the weights of `compact()` with `set_weights`."
            )


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

    def clone(layer):
        if not isinstance(layer, keras.layers.Layer):
            return keras_internals.clone_operation(layer)
        copy = type(layer).from_config(layer.get_config())
        for part in _recurrent_parts(copy):
            _check_steps(model, layer)
            part.unroll = True
        return copy

    return _copy(model, clone)


def _recurrent_parts(layer):
    parts = [layer]
    if isinstance(layer, keras.layers.Bidirectional):
        parts = [layer.forward_layer, layer.backward_layer]
    return [part for part in parts if isinstance(part, keras.layers.RNN)]


def _check_steps(model, layer):
    for tensor in keras.tree.flatten(layer.input):
        if len(tensor.shape) > 2 and tensor.shape[1] is None:
            raise ValueError(
                f"The steps of layer `{layer.name}` of model `{model.name}` "
                "are not fixed, and LiteRT quantizes recurrent layers to "
                "integers with a fixed number of steps only. Received: input "
                f"shape {tuple(tensor.shape)}. Give `keras.Input` the number "
                "of steps, or choose quantization='dynamic_range'."
            )


def _copy(model, clone):
    layers = keras_internals.all_layers(model)
    copy = keras.models.clone_model(
        model,
        clone_function=clone,
        recursive=any(isinstance(layer, keras.Model) for layer in layers),
    )
    copy.set_weights(model.get_weights())
    return copy

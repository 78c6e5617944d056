"""Copies of layers."""

import keras

from keras_growprune import keras_internals


def clone_layer(layer, **changes):
    """Returns a new layer of the same class, with fresh weights.

    Args:
        layer: A `keras.layers.Layer`.
        **changes: Entries of its config that are to differ.
    """
    if isinstance(layer, keras.layers.Lambda):  # code is not loaded again
        arguments = {"arguments": layer.arguments, "name": layer.name}
        return type(layer)(layer.function, **{**arguments, **changes})
    if isinstance(layer, keras.layers.TimeDistributed):
        inner = clone_layer(layer.layer)
        return keras.layers.TimeDistributed(inner, name=layer.name, **changes)
    if isinstance(layer, keras.layers.Bidirectional):
        return bidirectional(layer, clone_layer)
    return make_layer(type(layer), layer, **changes)


def bidirectional(layer, new_part):
    """Returns a new `Bidirectional` layer like another one.

    Args:
        layer: The other one.
        new_part: Function of a recurrent layer that returns the new one.
    """
    with keras_internals.trusting(layer.forward_layer):
        return keras.layers.Bidirectional(
            new_part(layer.forward_layer),
            backward_layer=new_part(layer.backward_layer),
            merge_mode=layer.merge_mode,
            name=layer.name,
            dtype=layer.dtype_policy,
        )


def make_layer(layer_class, layer, without=(), **changes):
    """Returns a new layer of a class that takes the config of another.

    Args:
        layer_class: The class.
        layer: The layer whose config it takes.
        without: Entries of the config that the class does not know.
        **changes: Entries of the config that are to differ.
    """
    with keras_internals.trusting(layer):
        config = layer.get_config()
        functions = keras_internals.own_functions(layer, config)
        config = _without_shapes({**config, **functions, **changes})
        for name in without:
            del config[name]
        new = layer_class.from_config(config)
    if hasattr(layer, "get_vocabulary"):  # neither weight nor config
        words = layer.get_vocabulary(include_special_tokens=False)
        if words:
            new.set_vocabulary(words)
    return new


def copy_weights(old, new):
    """Gives a copy of a layer the weights of the layer.

    Raises:
        ValueError: If it has weights of other shapes.
    """
    shapes = [
        [tuple(weight.shape) for weight in layer.weights]
        for layer in (old, new)
    ]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"Layer `{old.name}` of type {type(old).__name__} cannot be copied "
            "with its weights: called on symbolic tensors, a copy made by "
            "`from_config` must have weights of the same shapes. Expected: "
            f"{shapes[0]}. Received: {shapes[1]}. Create them in `build`, or "
            "write what it does as layers of a functional model."
        )
    new.set_weights(old.get_weights())
    if hasattr(new, "finalize_state"):  # what follows from the weights
        new.finalize_state()


def _without_shapes(config):
    """The config without the shapes that layers inside were built for."""
    if isinstance(config, dict):
        return {
            key: _without_shapes(value)
            for key, value in config.items()
            if key != "build_config"
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_without_shapes(value) for value in config)
    return config

"""Copies of layers."""

import keras


def clone_layer(layer, **changes):
    """Returns a new layer of the same class, with fresh weights.

    Args:
        layer: A `keras.layers.Layer`.
        **changes: Entries of its config that are to differ.
    """
    if isinstance(layer, keras.layers.Lambda):  # code is not loaded again
        arguments = {"arguments": layer.arguments, "name": layer.name}
        return type(layer)(layer.function, **{**arguments, **changes})
    config = {**layer.get_config(), **changes}
    return type(layer).from_config(_without_shapes(config))


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

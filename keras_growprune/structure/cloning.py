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
    return type(layer).from_config({**layer.get_config(), **changes})

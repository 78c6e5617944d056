"""Builds the plain network of a structure from a user's own code."""

import os

import keras

from keras_growprune.conversion.growable import growable
from keras_growprune.cost import Budget
from keras_growprune.structure import Structure
from keras_growprune.training import GrowPruneModel


def build(model_fn, structure, freeze=()):
    """Builds the plain network that has a given structure, untrained.

    For a fresh training of a structure that was found, in a program that
    knows nothing else of growing: the structure can come from a file.

    Args:
        model_fn: Function without arguments that returns the network at its
            full size, as it was given to `growable` or `GrowPruneModel`: a
            `keras.Model`, plain or growing.
        structure: A `Structure`, or one as JSON text
            (`model.structure.to_json()`).
        freeze: As it was given to `growable`, if it was. Defaults to none.

    Returns:
        A `keras.Model` of plain layers with fresh weights, not compiled.

    Raises:
        ValueError: If the structure is not one of this network.

    Example:

    ```python
    def make_network():
        inputs = keras.Input((28, 28, 1))
        x = keras.layers.Conv2D(32, 3, activation="relu")(inputs)
        x = keras.layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, keras.layers.Dense(10)(x))


    model = kgp.growable(make_network(), kgp.Budget(flops=0.5))
    text = model.structure.to_json()
    fresh = kgp.build(make_network, text)
    kgp.count_flops(fresh) == kgp.count_flops(model.compact())  # True
    ```
    """
    if isinstance(structure, (str, os.PathLike)):  # a path is told as such
        structure = Structure.from_json(structure)
    # A model is callable too, with other arguments.
    if not callable(model_fn) or isinstance(model_fn, keras.Model):
        raise ValueError(
            "Argument `model_fn` must be a function that returns the full "
            f"network. Received: model_fn={model_fn!r}"
        )
    model = model_fn()
    if not isinstance(model, GrowPruneModel):
        # Any budget will do: it bounds training, and this is none.
        model = growable(model, Budget(params=1.0), freeze=freeze, seed=0)
    return model.untrained(structure)

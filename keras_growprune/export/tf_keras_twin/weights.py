"""The weights of twins, which go by name: their orders differ."""

import collections

import keras
import numpy as np

from keras_growprune.export.tf_keras_twin import tables


def copy_states(old, new):
    """Gives a layer the weights of its twin, and what it carries along.

    Args:
        old, new: Layers without layers of their own twins inside; both are
            built.

    Raises:
        ValueError: If a weight of one has no equal in the other.
    """
    theirs = _by_name(old, old.weights)
    ours = _by_name(new, new.weights)
    shapes = [
        {name: tuple(weight.shape) for name, weight in weights.items()}
        for weights in (theirs, ours)
    ]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"Layer `{old.name}` of type {type(old).__name__} has other "
            f"weights in its twin. Expected: {shapes[0]}. Received: "
            f"{shapes[1]}. Build the model before you make a twin of it, and "
            "leave the weights of its layers as Keras makes them."
        )
    _check_frozen(old, new)
    for name, weight in ours.items():
        weight.assign(_value(theirs[name], weight))
    if hasattr(new, "finalize_state"):  # what follows from the weights
        new.finalize_state()
    if getattr(old, "stateful", False):
        states = zip(
            keras.tree.flatten(old.states), keras.tree.flatten(new.states)
        )
        for state, twin in states:
            twin.assign(_value(state, twin))


def _check_frozen(old, new):
    """A weight may be frozen without its layer in Keras 3 alone."""
    trained = [
        sorted(_by_name(layer, layer.trainable_weights)) for layer in (old, new)
    ]
    if new.trainable and trained[0] != trained[1]:
        raise ValueError(
            f"Layer `{old.name}` has weights that are frozen by themselves, "
            "which is not possible in its twin. Expected, of those that are "
            f"trained: {trained[1]}. Received: {trained[0]}. Freeze the "
            "layer, or none of them."
        )


def _by_name(layer, weights):
    """Weights of a layer by their names.

    By the last part of their paths, or the last two where it is not enough.
    """
    paths = [
        (getattr(weight, "path", weight.name).split(":")[0].split("/"), weight)
        for weight in weights
    ]
    counts = collections.Counter(path[-1] for path, _ in paths)
    renamed = tables.RENAMED_WEIGHTS.get(type(layer).__name__)
    found = {}
    for path, weight in paths:
        name = "/".join(path[-1 if counts[path[-1]] == 1 else -2 :])
        if renamed and name == renamed[1]:
            name = renamed[0]
        found[name] = weight
    return found


def _value(weight, like):
    """Its value as an array, of the type that another one has."""
    value = np.asarray(weight.numpy())
    dtype = like.dtype
    return value.astype(getattr(dtype, "as_numpy_dtype", dtype))

"""Gates of recurrent layers, in plain layers."""

import keras
import numpy as np

from keras_growprune.structure import copy_weights
from keras_growprune.structure import recurrent_parts


def copy_recurrent_weights(old, new, folds):
    """Copies the weights of a recurrent layer, with its gates, and its states.

    Args:
        old: The layer of the growing network, maybe `Bidirectional`.
        new: The plain layer.
        folds: As in `compact_model`. Their factors scale the rows of recurrent
            kernels, that is, what a layer reads of itself.
    """
    copy_weights(old, new)
    for ours, theirs in zip(recurrent_parts(old), recurrent_parts(new)):
        for point, factors in folds:
            if point.layer is ours:
                kernel = ours.cell.recurrent_kernel.numpy()
                factors = factors.astype(kernel.dtype)[:, None]
                theirs.cell.recurrent_kernel.assign(kernel * factors)
        for state, value in zip(theirs.states or [], ours.states or []):
            state.assign(value)


def scale_outputs(layer, outputs, folds):
    """Multiplies what leaves a recurrent layer by the factors of its gates.

    No weight of the layer could take them in.

    Args:
        layer: The layer of the growing network, maybe `Bidirectional`.
        outputs: Keras tensors, what the plain layer returned.
        folds: As in `compact_model`.

    Returns:
        Keras tensors in the same structure.
    """
    parts = recurrent_parts(layer)
    found = {
        id(point.layer): factors
        for point, factors in folds
        if point.kind == "layer"
    }
    if not any(id(part) in found for part in parts):
        return outputs
    each = [found.get(id(part), np.ones(part.units)) for part in parts]
    ends = _joined(each, getattr(layer, "merge_mode", None))
    # Behind the outputs: the states of each direction, gated is the first.
    flat = keras.tree.flatten(outputs)
    count = (len(flat) - len(ends)) // len(parts)
    factors = list(ends)
    for own in each:
        factors += [own, *[None] * (count - 1)][:count]
    scaled = [
        tensor if factor is None else _scaled(layer, tensor, factor, index)
        for index, (tensor, factor) in enumerate(zip(flat, factors))
    ]
    return keras.tree.pack_sequence_as(outputs, scaled)


def _joined(factors, merge_mode):
    """Factors of the outputs, from those of the directions."""
    if len(factors) == 1 or merge_mode is None:
        return factors
    if merge_mode == "concat":
        return [np.concatenate(factors)]
    # Their units are tied, so are their gates.
    power = 2 if merge_mode == "mul" else 1
    return [factors[0] ** power]


def _scaled(layer, tensor, factor, index):
    name = f"{layer.name}_gate" + (f"_{index}" if index else "")
    scale = keras.layers.Rescaling(
        factor.tolist(), dtype=layer.dtype_policy, name=name
    )
    return scale(tensor)

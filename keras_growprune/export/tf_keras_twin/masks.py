"""Masks that go along with tensors, where the two Keras differ."""

import keras

from keras_growprune.export.tf_keras_twin.graph import NoTwin
from keras_growprune.keras_internals import has_mask
from keras_growprune.keras_internals import mask_of

_MERGING = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
# They differ in a row in which nothing is left over.
_SOFTMAX = ("MultiHeadAttention", "Softmax")


def check_masks(kind, args, kwargs):
    """Refuses a layer that makes something else of masks in the other Keras.

    Args:
        kind: Name of its class.
        args, kwargs: What it is called on in Keras 3.

    Raises:
        NoTwin: If it does.
    """
    tensors = [
        value
        for value in keras.tree.flatten((args, kwargs))
        if keras.utils.is_keras_tensor(value)
    ]
    masks = {id(mask): mask for mask in map(mask_of, tensors)}
    some = any(mask is not None for mask in masks.values())
    if kind in _SOFTMAX and (some or {"mask", "attention_mask"} & set(kwargs)):
        raise NoTwin("a row that is masked as a whole differs in tf_keras")
    is_merged = kind in _MERGING and None not in masks.values()
    if len(masks) > 1 and (is_merged or kind == "Concatenate"):
        raise NoTwin("it joins several masks, in tf_keras in another way")


def check_same_masks(pairs):
    """Refuses outputs of which only one carries a mask along.

    Args:
        pairs: List of `(tensor of Keras 3, tensor of tf_keras)`.

    Raises:
        NoTwin: If there are some.
    """
    for one, other in pairs:
        if has_mask(one) != has_mask(other):
            raise NoTwin("a mask goes through it in one Keras only")


def ends_masks(call):
    """Whether a call of Keras 3 ends masks that its twin would hand on.

    Operations do, and a sum or product of which one input has none.

    Args:
        call: A `TwinCall`.
    """
    is_layer = isinstance(call.operation, keras.layers.Layer)
    is_merged = type(call.operation).__name__ in _MERGING
    masked = any(map(has_mask, call.outputs))
    return (is_merged or not is_layer) and not masked

"""Sums of a tensor and of what is computed from it."""

import keras

from keras_growprune import keras_internals


def find_residual_sums(calls):
    """Finds the sums whose one side could be left out.

    Args:
        calls: Calls of a functional graph in topological order.

    Returns:
        Maps the `id` of a sum's output tensor to `(shortcut, branch, scale)`:
        its two input tensors, of which the second is computed from the first,
        and a constant that multiplies the second.
    """
    producer = {id(t): call for call in calls for t in call.outputs}
    position = {id(call): i for i, call in enumerate(calls)}
    scaled_sum = keras_internals.layers_of_applications().get(
        "CustomScaleLayer", ()
    )
    found = {}
    for call in calls:
        scale = _scale_of_sum(call, scaled_sum)
        if scale is None or len(call.inputs) != 2:
            continue
        first, second = call.inputs
        if tuple(first.shape) != tuple(second.shape) or first is second:
            continue
        if any(map(keras_internals.has_mask, call.inputs)):
            continue  # without its branch the sum would have another mask
        if _is_computed_from(second, first, producer, position):
            found[id(call.outputs[0])] = first, second, scale
        elif scale == 1 and _is_computed_from(
            first, second, producer, position
        ):
            found[id(call.outputs[0])] = second, first, scale
    return found


def _scale_of_sum(call, scaled_sum):
    """The factor of the second summand, or None if it is no sum."""
    if isinstance(call.operation, scaled_sum):
        return call.operation.scale
    is_sum = type(call.operation) is keras.layers.Add
    is_sum |= keras_internals.operation_name(call.operation) == "Add"
    return 1 if is_sum else None


def _is_computed_from(tensor, source, producer, position):
    """Whether a tensor depends on another through weights."""
    if id(source) not in producer:
        return False
    first = position[id(producer[id(source)])]
    stack, seen = [(tensor, False)], set()
    while stack:
        here, has_weights = stack.pop()
        if here is source:
            if has_weights:
                return True
            continue
        call = producer[id(here)]
        if (id(call), has_weights) in seen or position[id(call)] <= first:
            continue
        seen.add((id(call), has_weights))
        has_weights = has_weights or bool(getattr(call.layer, "weights", ()))
        stack.extend((each, has_weights) for each in call.inputs)
    return False

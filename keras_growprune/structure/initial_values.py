"""What an initializer gives to a part of a weight."""

import keras
import numpy as np


def initial_values(initializer, full_shape, entries, dtype):
    """Initial values of some entries of a weight.

    Drawn at the size of the part, as a layer of that size would draw them.
    An initializer that knows one shape only (`Constant(matrix)`) gives each
    entry what it has for it.

    Args:
        initializer: A Keras initializer, or another function of a shape.
        full_shape: Shape of the whole weight.
        entries: One integer array for each axis.
        dtype: Type of the weight.

    Returns:
        A NumPy array.
    """
    shape = tuple(len(each) for each in entries)
    values = _try(initializer, shape, dtype)
    if values is not None:
        return values
    whole = np.array(initializer(tuple(full_shape), dtype=dtype))
    return whole[np.ix_(*entries)]


def initializer_of_part(initializer, full_shape, entries):
    """An initializer for a part of a weight, such as a compact layer has.

    Args:
        initializer: That of the whole weight.
        full_shape: Shape of the whole weight.
        entries: One integer array for each axis.

    Returns:
        The same one, unless it knows one shape only.
    """
    shape = tuple(len(each) for each in entries)
    if _takes_any_shape(initializer) or 0 in shape:
        return initializer
    if _try(initializer, shape, "float32") is not None:
        return initializer
    values = initial_values(initializer, full_shape, entries, "float32")
    return keras.initializers.Constant(values)


def _takes_any_shape(initializer):
    kind = type(initializer)
    if isinstance(initializer, keras.initializers.Constant):
        return np.ndim(initializer.value) == 0
    return kind.__module__.startswith("keras.")


def _try(initializer, shape, dtype):
    """Its values, or None where it does not know the shape."""
    if isinstance(initializer, keras.initializers.Constant):
        # It broadcasts: a matrix of one column would fill all columns.
        known = np.shape(initializer.value)
        if known and known != shape:
            return None
    try:
        values = np.array(initializer(shape, dtype=dtype))
    except Exception:  # whatever it raises at a shape that it does not know
        return None
    return values if values.shape == shape else None

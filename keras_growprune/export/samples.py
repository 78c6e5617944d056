"""Inputs to try a network with."""

import keras
import numpy as np
import tensorflow as tf

from keras_growprune import keras_internals

_SEED = 0
_SAMPLES = 32
_MOST = 1024
# What a network without an embedding reads as numbers of something.
_SOME_NUMBERS = 2


def given_samples(model, data, name, most=_MOST):
    """Samples out of what a user gave.

    Args:
        model: A plain functional `keras.Model`.
        data: Arrays in the structure of the model's inputs (an array, a list
            or a dict), or a `tf.data.Dataset` (or another iterable) of
            batches of these, alone or with targets.
        name: Of the argument, for errors.
        most: Samples to take.

    Returns:
        List of arrays, one for each input, in the order of `model.inputs`.

    Raises:
        ValueError: If they do not fit the inputs.
    """
    if callable(data) and not hasattr(data, "shape"):  # as TensorFlow has it
        data = data()
    try:
        if isinstance(data, tf.data.Dataset) or hasattr(data, "__next__"):
            values = _from_batches(model, data, most)
        else:
            values = _flat(model, data)
        values = [np.asarray(value) for value in values]
        values = [value[:most] if value.ndim else value for value in values]
    except ValueError as error:  # of NumPy, such as of rows of two lengths
        raise ValueError(
            f"Argument `{name}` must have an array for each input of model "
            f"`{model.name}`: {_names(model)}. Received: "
            f"{type(data).__name__}. {error}"
        ) from error
    if len(values) != len(model.inputs):
        raise ValueError(
            f"Argument `{name}` must have an array for each input of model "
            f"`{model.name}`: {_names(model)}. Received: {len(values)}"
        )
    counts = {len(value) if value.ndim else 0 for value in values}
    for tensor, value in zip(model.inputs, values):
        wanted, shape = tuple(tensor.shape), value.shape
        fits = len(wanted) == len(shape) and all(
            size in (None, given) for size, given in zip(wanted[1:], shape[1:])
        )
        if not fits or len(counts) > 1 or 0 in counts:
            raise ValueError(
                f"Argument `{name}` must be samples for input `{tensor.name}` "
                f"of model `{model.name}`, an array of shape "
                f"{('samples', *wanted[1:])}, as many for each input (or a "
                f"data set of batches of them). Received: shape {shape}"
            )
    return [
        _with_dtype(tensor, value, name)
        for tensor, value in zip(model.inputs, values)
    ]


def _names(model):
    return [tensor.name for tensor in model.inputs]


def _with_dtype(tensor, value, name):
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    if dtype == "string":
        return value.astype("U")
    with np.errstate(invalid="ignore"):
        cast = value.astype(dtype)
    if "int" in dtype and not np.array_equal(cast, value):
        raise ValueError(
            f"Argument `{name}` must have integers for input `{tensor.name}`, "
            f"as {dtype} has them. Received: numbers of {value.dtype} from "
            f"{value.min()} to {value.max()}"
        )
    return cast


def _from_batches(model, batches, most):
    parts, count = [], 0
    for batch in batches:
        if isinstance(batch, tuple):
            batch = batch[0]  # without targets and weights
        flat = [np.asarray(each) for each in _flat(model, batch)]
        parts.append(flat)
        count += len(flat[0])
        if count >= most:
            break
    return [np.concatenate(each) for each in zip(*parts)]


def _flat(model, data):
    """A list of arrays, in the order of the inputs where they have names."""
    structure, _ = keras_internals.graph_structure(model)
    if isinstance(data, dict):
        names = _names(model)
        if isinstance(structure, dict) and set(data) == set(structure):
            return keras.tree.flatten({key: data[key] for key in structure})
        if set(data) == set(names):  # as Keras takes them
            return [data[name] for name in names]
        raise ValueError(f"They are {names}, not {list(data)}.")
    if isinstance(data, (np.ndarray, tf.Tensor)) or np.isscalar(data):
        return [data]
    if len(model.inputs) == 1 and isinstance(data, (list, tuple)):
        # A list of samples; or a list with the one array.
        flat = data if len(data) == 1 and np.ndim(data[0]) else [data]
        if np.ndim(flat[0]) < len(model.inputs[0].shape):
            flat = [data]
        return flat
    return keras.tree.flatten(data)


def drawn_samples(model, count=_SAMPLES):
    """Random samples, where a user gave none.

    Normal numbers; where an embedding looks something up, numbers that it
    has.

    Args:
        model: A plain functional `keras.Model`.
        count: Number of samples.

    Returns:
        As `given_samples`.

    Raises:
        ValueError: If the size of an input is not known.
    """
    random = np.random.default_rng(_SEED)
    most = _embedded(model)
    values = []
    for tensor in model.inputs:
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if None in tensor.shape[1:] or dtype == "string":
            raise ValueError(
                f"Nothing can be drawn for input `{tensor.name}` of model "
                f"`{model.name}`, to try the file with: that needs numbers "
                "and sizes that are fixed. Received: shape "
                f"{tuple(tensor.shape)}, dtype {dtype}. Pass samples as "
                "`inputs`, or `verify=False`."
            )
        shape = (count, *tensor.shape[1:])
        if "int" in dtype:
            numbers = most.get(id(tensor), _SOME_NUMBERS)
            values.append(random.integers(numbers, size=shape).astype(dtype))
        elif dtype == "bool":
            values.append(random.random(shape) < 0.5)
        else:
            values.append(random.normal(size=shape).astype(dtype))
    return values


def _embedded(model):
    """How many numbers each embedded input may be, by its `id`."""
    found = {}
    for call in keras_internals.graph_calls(model):
        if isinstance(call.operation, keras.layers.Embedding):
            tensor = id(call.inputs[0])
            size = call.operation.input_dim
            found[tensor] = min(size, found.get(tensor, size))
    return found


def pack(model, values):
    """A flat list of inputs, as the model takes them."""
    structure, _ = keras_internals.graph_structure(model)
    return keras.tree.pack_sequence_as(structure, list(values))

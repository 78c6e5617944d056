"""Refuses arguments of `fit` that cannot work, before anything is touched.

What Keras takes is taken: only arrays are looked at, in the ways in which they
cannot fit. Whatever a generator or a data set brings shows when it comes.
"""

import contextlib
import numbers

import keras
import numpy as np

from keras_growprune import backend
from keras_growprune import keras_internals
from keras_growprune.layers.growable import is_count

_COUNTS = ("batch_size", "steps_per_epoch", "validation_batch_size")


def check_fit(model, x, y, callbacks, **arguments):
    """Checks the arguments of `fit`.

    Args:
        model: The `GrowPruneModel`.
        x, y: As in `fit`.
        callbacks: List of callbacks.
        **arguments: `epochs`, `initial_epoch`, and those of `fit`'s other
            arguments that were given.

    Raises:
        ValueError: If one of them cannot work.
    """
    for name in ("epochs", "initial_epoch"):
        value = arguments[name]
        if not _is_integer(value) or value < 0:
            raise ValueError(
                f"Argument `{name}` must be an integer of at least 0. "
                f"Received: {name}={value!r}"
            )
    for name in _COUNTS:
        check_count(name, arguments.get(name))
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(
                "Argument `callbacks` must list objects of "
                f"`keras.callbacks.Callback`. Received: {callback!r} of type "
                f"{type(callback).__name__}"
            )
    if x is None:
        raise ValueError(
            "Argument `x` must hold the training data. Received: x=None"
        )
    check_inputs(model, x, "x")
    _check_targets(model, x, y, "y")
    validation = arguments.get("validation_data")
    if isinstance(validation, tuple) and len(validation) > 1:
        check_inputs(model, validation[0], "validation_data[0]")
        _check_targets(
            model, validation[0], validation[1], "validation_data[1]"
        )


def check_count(name, value):
    """Refuses what is neither a positive integer nor None."""
    if value is not None and not is_count(value):
        raise ValueError(
            f"Argument `{name}` must be a positive integer or None. "
            f"Received: {name}={value!r}"
        )


def check_inputs(model, x, name):
    """Refuses arrays that cannot be inputs of a model.

    Args:
        model: A functional model.
        x: Anything; what is no array passes.
        name: What it is called.

    Raises:
        ValueError: If the arrays are empty, of another shape, or no numbers
            where numbers are asked for.
    """
    for tensor, array in _pairs(model.input, x):
        own_name = keras_internals.producer_name(tensor)
        shape = tuple(array.shape)
        if not shape or not shape[0]:
            raise ValueError(
                f"Argument `{name}` must hold at least one example. Received: "
                f"an array of shape {shape}"
            )
        if not _fits(shape, tuple(tensor.shape)):
            raise ValueError(
                f"Argument `{name}` must have the shapes of the model's "
                f"inputs. Expected: {_shown(tensor.shape)} for input "
                f"`{own_name}`. Received: an array of shape {shape}"
            )
        kind = _kind(array)
        is_text = keras.backend.standardize_dtype(tensor.dtype) == "string"
        if (kind in "SUO") != is_text or kind == "c":
            raise ValueError(
                f"Argument `{name}` must hold "
                + ("text" if is_text else "real numbers")
                + f" for input `{own_name}` of type {tensor.dtype}. "
                f"Received: an array of type {array.dtype}. "
                + ("" if is_text else "Convert it: `x.astype('float32')`.")
            )


def _check_targets(model, x, y, name):
    if _is_array(x) and y is None and model.loss is not None:
        raise ValueError(
            f"Argument `{name}` must hold the targets of the loss that "
            f"`compile` was given. Received: {name}=None. For a model whose "
            "loss comes from `add_loss`, compile with `loss=None`."
        )


@contextlib.contextmanager
def explained(model, what):
    """Inside, errors tell what the model takes and that it is whole.

    Args:
        model: A functional model.
        what: What is being done with it, as in "Training".
    """
    try:
        yield
    except FloatingPointError:
        raise  # it says so itself
    except Exception as error:
        if hasattr(error, "add_note"):  # since Python 3.11
            note = _how_to_go_on(model, error)
            error.add_note(
                f"{what} of `{model.name}` broke off (keras_growprune). {note}"
            )
        raise


def _how_to_go_on(model, error):
    replicas = backend.replicas_of(model)
    if replicas.workers > 1 and backend.is_lost_worker(error):
        return (
            f"Another one of the {replicas.workers} workers has ended or "
            "cannot be reached: look at the log of the one that ended first. "
            "Then start the same command on all workers again. With "
            "`kgp.callbacks.BackupAndRestore` on a folder that all of them "
            "see, the run goes on after its last complete epoch, bit by bit."
        )
    several = ""
    if replicas.count > 1:
        several = (
            f"Each batch, also the last one of an epoch, needs an example for "
            f"each of the {replicas.count} replicas; and Keras itself may not "
            "run `steps_per_execution` or `jit_compile` on several of these "
            "devices. "
        )
    return (
        f"The model takes {_described(model.inputs)} and returns "
        f"{_described(model.outputs)}: compare your data and your loss "
        f"with that. {several}Model and structure are as after the last "
        "complete step: predict, save, or call `fit` again."
    )


def _described(tensors):
    return ", ".join(f"{_shown(t.shape)} of {t.dtype}" for t in tensors)


def _shown(shape):
    return str(tuple(shape))


def _is_integer(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_array(value):
    return isinstance(value, np.ndarray) or backend.is_tensor(value)


def _kind(array):
    """What NumPy calls the kind of its type: a number, text, an object."""
    if isinstance(array, np.ndarray):
        return array.dtype.kind
    name = keras.backend.standardize_dtype(array.dtype)
    return {"string": "S", "bfloat16": "f"}.get(name) or np.dtype(name).kind


def _pairs(inputs, x):
    """`(input tensor, array)` of what is surely meant for each other."""
    if isinstance(inputs, dict):
        if not isinstance(x, dict) or set(x) != set(inputs):
            return []
        pairs = [(inputs[name], x[name]) for name in inputs]
    elif isinstance(x, (list, tuple)):
        tensors = keras.tree.flatten(inputs)
        pairs = list(zip(tensors, x)) if len(x) == len(tensors) else []
    elif not isinstance(inputs, (list, tuple)):
        pairs = [(inputs, x)]
    else:
        pairs = []
    return [pair for pair in pairs if _is_array(pair[1])]


def _fits(shape, expected):
    """Whether Keras would take a shape; it adds or drops a last axis of 1."""
    if len(shape) == len(expected) + 1 and shape[-1] == 1:
        shape = shape[:-1]
    elif len(shape) == len(expected) - 1 and expected[-1] == 1:
        shape = (*shape, 1)
    return len(shape) == len(expected) and all(
        wanted is None or size == wanted
        for size, wanted in zip(shape[1:], expected[1:])
    )

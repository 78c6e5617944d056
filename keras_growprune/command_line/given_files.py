"""Saved models and exported files, as a user of the shell names them."""

import importlib
import inspect
import os
import pathlib
import re
import sys

import keras
from absl import flags

from keras_growprune.runtimes import format_of
from keras_growprune.runtimes.error_text import first_line

SAVED = "keras"
_ENDINGS = (".keras", ".h5", ".hdf5")
# How Keras says that it does not know a class; where something is inside
# another thing, the reason comes last.
_REASON = "Exception encountered: "
_UNKNOWN = re.compile(r"(?:Could not locate|Unknown) ([a-z ]+?):? '([^']+)'")


def kind_of(path):
    """What a file is.

    Args:
        path: Its path.

    Returns:
        `SAVED` for a saved model; for an exported file its format:
        `"litert"`, `"onnx"` or `"tf_saved_model"`.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: If it is none of these.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is nothing at `{path}`.")
    if path.is_file() and path.suffix in _ENDINGS:
        return SAVED
    try:
        return format_of(path)
    except ValueError as error:
        raise ValueError(
            "A file must be a saved model (`.keras`, `.h5`) or an exported "
            "one (`.tflite`, `.onnx`, the folder of a SavedModel). Received: "
            f"`{path}`"
        ) from error


def check_is_new(path, overwrite):
    """Refuses a path where something is.

    Args:
        path: Where a file is to be written.
        overwrite: Whether it may take the place of what is there.

    Raises:
        FileExistsError: If it may not.
    """
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(
            f"There is something at `{path}` already. Choose another path, or "
            "pass --overwrite to replace it."
        )


def define_import(options):
    """Defines the flag that names modules of a user's own layers.

    Args:
        options: The `FlagValues` of a command.
    """
    flags.DEFINE_multi_string(
        "import",
        [],
        "Module that defines layers of your own, found from the current "
        "folder. May be given several times.",
        flag_values=options,
    )


def load_model(path, options):
    """Loads a saved model, not compiled.

    Args:
        path: A `.keras` or `.h5` file.
        options: The `FlagValues` of a command, see `define_import`.

    Returns:
        A `keras.Model`; a `GrowPruneModel`, if that was saved.

    Raises:
        FileNotFoundError: If there is no file.
        ImportError: If a module cannot be imported.
        ValueError: If it is no saved model, or has a class that is not known.
    """
    if kind_of(path) != SAVED:
        raise ValueError(
            "Expected: a saved model, a `.keras` or `.h5` file. Received: "
            f"`{path}`, an exported file."
        )
    modules = options["import"].value
    own = {}
    for name in modules:
        own.update(_classes_of(_imported(name)))
    try:
        return keras.saving.load_model(path, custom_objects=own, compile=False)
    except Exception as error:  # Keras has many, with pages of text
        raise ValueError(_why(path, error, modules)) from error


def _imported(name):
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever a module of a user does
        raise ImportError(
            f"Could not import `{name}`: {type(error).__name__}: {error}. "
            "Expected: --import=MODULE, as `import MODULE` finds it from the "
            "current folder."
        ) from error


def _classes_of(module):
    """Classes and functions of a module, by name.

    Keras finds those that are registered by itself, no others.
    """
    package = module.__name__.partition(".")[0]
    return {
        name: value
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.partition(".")[0] == package
    }


def _why(path, error, modules):
    text = str(error).rpartition(_REASON)[2]
    unknown = _UNKNOWN.search(text)
    if unknown is None:
        return f"Could not load `{path}`: {first_line(text)}"
    kind, name = unknown.groups()
    received = f"--import of {', '.join(modules)}" if modules else "no --import"
    return (
        f"Could not load `{path}`: it has the {kind} `{name}`, which is not "
        f"known here. Received: {received}. Name the module that defines it: "
        "--import=MODULE"
    )

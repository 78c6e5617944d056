"""Samples in files that NumPy wrote."""

import pathlib
import zipfile

import numpy as np

from keras_growprune.export.names import input_names
from keras_growprune.export.samples import pack
from keras_growprune.export.verification import plain_network


def read_samples(path, model):
    """Reads samples of a model's inputs.

    Args:
        path: A `.npy` file with the samples of the one input; or an `.npz`
            file with an array for each input, by the names of the inputs or
            in their order (`arr_0`, `arr_1`, ...). None is for none.
        model: A growing model, or a functional or Sequential one.

    Returns:
        Arrays as the model takes them, or None.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it is another kind of file, or has other names.
    """
    if path is None:
        return None
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"There is no file of samples at `{path}`.")
    try:
        content = np.load(path)
        if isinstance(content, np.ndarray):
            return content
        with content:
            arrays = dict(content)
    except (EOFError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            "Samples must be in a `.npy` file (`numpy.save`) or an `.npz` "
            f"file (`numpy.savez`). Received: `{path}`: {error}"
        ) from error
    return _as_taken(arrays, plain_network(model), path)


def _as_taken(arrays, network, path):
    names = input_names(network)
    if len(arrays) == len(names) == 1:
        return next(iter(arrays.values()))
    in_order = [f"arr_{index}" for index in range(len(names))]
    for known in (names, in_order):
        if set(known) == set(arrays):
            return pack(network, [arrays[name] for name in known])
    raise ValueError(
        f"Samples for several inputs must have their names: {names}. "
        f"Received: `{path}` with {list(arrays)}"
    )

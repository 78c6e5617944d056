"""What is different between two moments of a growing model."""

import os
import zipfile

import h5py
import numpy as np

from keras_growprune.structure import Structure
from keras_growprune.structure import StructureDiff
from keras_growprune.training.grow_prune_model import GrowPruneModel
from keras_growprune.training.saving import file_format


def diff(before, after):
    """Tells which units and gated layers came and left in between.

    Args:
        before, after: Each a `GrowPruneModel`, a `Structure`, or the path of
            a file that a growing model wrote (`.keras`, `.weights.h5`; the
            model is not built for it).

    Returns:
        A `StructureDiff`; `print` it for a table.

    Raises:
        ValueError: If one is none of these, or they are of networks that were
            not built in the same way.
        OSError: If there is no such file, or it cannot be read.

    Example:

    ```python
    model.save("before.keras")
    model.fit(images, labels, epochs=2, growth_epochs=10)
    changes = kgp.diff("before.keras", model)
    print(changes)  # a table
    sum(group.gained for group in changes.groups) > 0  # True
    ```
    """
    return StructureDiff(_structure_of(before), _structure_of(after))


def _structure_of(given):
    if isinstance(given, Structure):
        return given
    if isinstance(given, GrowPruneModel):
        return given.structure
    if isinstance(given, (str, os.PathLike)):
        return _structure_in(os.fspath(given))
    raise ValueError(
        "Arguments must be a `GrowPruneModel`, a `Structure` or the path of a "
        f"file of a growing model. Received: {given!r}"
    )


def _structure_in(path):
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is nothing at `{path}`.")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            try:
                weights = archive.open("model.weights.h5")
            except KeyError as error:
                raise _no_growing_model(path) from error
            with weights, h5py.File(weights, "r") as file:
                return _structure_of_weights(file, path)
    try:
        with h5py.File(path, "r") as file:
            return _structure_of_weights(file, path)
    except OSError as error:
        if not h5py.is_hdf5(path):
            raise _no_growing_model(path) from error
        raise


def _structure_of_weights(file, path):
    found = []

    def look(name, item):
        if isinstance(item, h5py.Group) and file_format.TABLE in item:
            found.append(item)

    file.visititems(look)
    if not found:
        raise _no_growing_model(path)
    entries = {key: np.array(value) for key, value in found[0].items()}
    return file_format.structure_of(entries)


def _no_growing_model(path):
    return ValueError(
        "The file must be one that a growing model wrote (`model.save`, "
        f"`model.save_weights`). Received: {path}, without a structure."
    )

"""Names of a network's inputs and outputs in files."""

import re

from keras_growprune import keras_internals

# What TensorFlow calls the network itself.
_TAKEN = ("self",)


def input_names(model):
    """Names of the inputs, in the order of `model.inputs`."""
    structure, _ = keras_internals.graph_structure(model)
    return _unique(_keys(structure) or [each.name for each in model.inputs])


def output_names(model):
    """Names of the outputs, in the order of `model.outputs`."""
    _, structure = keras_internals.graph_structure(model)
    return _unique(_keys(structure) or model.output_names)


def _keys(structure):
    """The keys of a flat dict, in the order in which it is flattened."""
    if not isinstance(structure, dict):
        return None
    if any(isinstance(x, (dict, list, tuple)) for x in structure.values()):
        return None
    return sorted(structure)


def _unique(names):
    """Names that all formats take, none of them twice."""
    result = []
    for name in names:
        name = re.sub("[^A-Za-z0-9_]", "_", str(name))
        if not name[:1].isalpha() or name in _TAKEN:
            name = f"x_{name}"
        number = 0
        unique = name
        while unique in result:
            number += 1
            unique = f"{name}_{number}"
        result.append(unique)
    return result

"""Names of a network's inputs and outputs in files."""

from keras_growprune import keras_internals


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
    """Names that the formats take, none of them twice."""
    result = []
    for name in names:
        name = str(name).replace("/", "_").replace(":", "_")
        number = 0
        unique = name
        while unique in result:
            number += 1
            unique = f"{name}_{number}"
        result.append(unique)
    return result

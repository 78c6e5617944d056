"""A functional graph of either Keras, as both can be rebuilt from it."""

import dataclasses

import keras


class NoTwin(Exception):
    """Says why the other Keras has no equal for something."""

    def at(self, operation):
        """The same, with the name of the layer or operation."""
        kind = type(operation).__name__
        return NoTwin(f"`{operation.name}` of type {kind} ({self})")


@dataclasses.dataclass(frozen=True, eq=False)
class TwinCall:
    """One call of a layer or operation.

    Attributes:
        operation: The layer or operation.
        args, kwargs: Its arguments, symbolic tensors among them. Neither
            `training` nor masks that come along by themselves.
        outputs: List of symbolic tensors.
    """

    operation: object
    args: tuple
    kwargs: dict
    outputs: list


@dataclasses.dataclass(frozen=True, eq=False)
class TwinGraph:
    """A functional graph.

    Attributes:
        inputs, outputs: Symbolic tensors, in the structure of the model's.
        input_names: Maps the `id` of an input tensor to its name.
        calls: List of `TwinCall` in topological order, without the inputs.
    """

    inputs: object
    outputs: object
    input_names: dict
    calls: list


def rebuild(graph, new_input, new_call):
    """Runs a graph with new tensors.

    Args:
        graph: A `TwinGraph`.
        new_input: Function of an input tensor and its name that returns the
            new tensor.
        new_call: Function of a `TwinCall` and of a function that puts new
            tensors into a structure of old ones; returns the new outputs.

    Returns:
        `(inputs, outputs)`, new tensors in the structures of the graph.
    """
    tensors = {}

    def enter(tensor):
        tensors[id(tensor)] = new_input(tensor, graph.input_names[id(tensor)])
        return tensors[id(tensor)]

    def replaced(structure):
        return keras.tree.map_structure(
            lambda value: tensors.get(id(value), value), structure
        )

    inputs = keras.tree.map_structure(enter, graph.inputs)
    for call in graph.calls:
        outputs = keras.tree.flatten(new_call(call, replaced))
        for old, new in zip(call.outputs, outputs, strict=True):
            tensors[id(old)] = new
    return inputs, replaced(graph.outputs)


def refusal(problems, model, target):
    """The error of a model that has no twin.

    Args:
        problems: List of descriptions of what has none.
        model: The model.
        target: Name of the package in which the twin was to be made.

    Returns:
        A `ValueError`.
    """
    return ValueError(
        f"Model `{model.name}` has no twin in {target}. Expected: layers and "
        "operations that compute the same in Keras 3 and in tf_keras. "
        f"Received: {'; '.join(problems)}. Write these parts with other "
        "layers, or make a twin of the model without them."
    )

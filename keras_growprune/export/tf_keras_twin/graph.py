"""A functional graph of either Keras, as both can be rebuilt from it."""

import dataclasses

import keras


class NoTwin(Exception):
    """Says why the other Keras has no equal for something."""


@dataclasses.dataclass(frozen=True, eq=False)
class TwinCall:
    """One call of a layer or operation.

    Attributes:
        operation: The layer or operation.
        args, kwargs: Its arguments, symbolic tensors among them. Neither
            `training` nor masks that come along by themselves.
        outputs: List of symbolic tensors.
        why_not: Why it has no twin, or None.
    """

    operation: object
    args: tuple
    kwargs: dict
    outputs: list
    why_not: str = None


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
        new_call: Function of a `TwinCall`, and of its arguments with new
            tensors in them, that returns the new outputs.

    Returns:
        `(inputs, outputs)`, new tensors in the structures of the graph.
    """
    tensors = {}

    def enter(tensor):
        tensors[id(tensor)] = new_input(tensor, graph.input_names[id(tensor)])
        return tensors[id(tensor)]

    def replace(value):
        return tensors.get(id(value), value)

    inputs = keras.tree.map_structure(enter, graph.inputs)
    for call in graph.calls:
        args, kwargs = keras.tree.map_structure(
            replace, (tuple(call.args), dict(call.kwargs))
        )
        outputs = keras.tree.flatten(new_call(call, args, kwargs))
        for old, new in zip(call.outputs, outputs, strict=True):
            tensors[id(old)] = new
    return inputs, keras.tree.map_structure(replace, graph.outputs)


def check(problems, model, target):
    """Refuses a model whose twin would not be one.

    Args:
        problems: List of descriptions of what has no twin.
        model: The model.
        target: Name of the package in which the twin was to be made.

    Raises:
        ValueError: If there are problems.
    """
    if problems:
        raise ValueError(
            f"Model `{model.name}` has no twin in {target}. Expected: layers "
            "and operations that compute the same in Keras 3 and in tf_keras. "
            f"Received: {'; '.join(problems)}. Write these parts with other "
            "layers, or cut the model in front of them."
        )

"""Nodes and tensors of functional graphs."""

import dataclasses

import keras

from keras_growprune.keras_internals.layers import operation_name


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation in a functional graph."""

    operation: object
    inputs: list
    outputs: list
    node: object
    # What takes the place of constants among the arguments: functions without
    # arguments, by the `id` of the constant.
    constants: dict = dataclasses.field(default_factory=dict)

    def fill_in(self, values):
        """Arguments for the operation.

        Args:
            values: Maps the `id` of each symbolic tensor to its value.

        Returns:
            `(positional arguments, keywords)`.
        """
        arguments = self.node.arguments.fill_in(values)
        if not self.constants:
            return arguments

        def replace(value):
            new = self.constants.get(id(value))
            return value if new is None else new()

        return keras.tree.map_structure(replace, arguments)

    @property
    def layer(self):
        """Who has the weights: what is applied to each time step, if any."""
        if isinstance(self.operation, keras.layers.TimeDistributed):
            return self.operation.layer
        return self.operation

    @property
    def arguments(self):
        """Positional arguments, Keras tensors among them."""
        return self.node.arguments.args

    @property
    def keywords(self):
        return self.node.arguments.kwargs

    def argument(self, name, position, default=None):
        """An argument, given by position or by name."""
        if position < len(self.arguments):
            return self.arguments[position]
        return self.keywords.get(name, default)


def without_time(call):
    """What a `TimeDistributed` layer does with one time step, as a call."""

    def step(tensor):
        shape = (tensor.shape[0], *tensor.shape[2:])
        return keras.KerasTensor(shape, tensor.dtype)

    return Call(
        operation=call.operation.layer,
        inputs=[step(call.inputs[0])],
        outputs=[step(call.outputs[0])],
        node=call.node,
    )


def graph_calls(model):
    """Calls of a functional model in topological order."""
    by_depth = model._nodes_by_depth
    return [
        Call(
            operation=node.operation,
            inputs=list(node.input_tensors),
            outputs=list(node.output_tensors),
            node=node,
        )
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
    ]


def outside_calls(model):
    """Names of layers outside a model that read a tensor of its graph, or
    that share one of its layers.

    Returns:
        List of `(layer name in the model, layer name outside)`.
    """
    inside = {
        id(node) for nodes in model._nodes_by_depth.values() for node in nodes
    }
    found = []
    for operation in model.operations:
        for node in operation._inbound_nodes:
            if id(node) not in inside and not node.is_input:
                found.append((operation.name, operation.name))
        for node in operation._outbound_nodes:
            is_ours = id(node) in inside or _is_dead_cast(node)
            if not is_ours and not isinstance(node.operation, keras.Model):
                found.append((operation.name, node.operation.name))
    return found


def _is_dead_cast(node):
    """Whether a node is what Keras leaves behind when it casts inputs."""
    is_cast = operation_name(node.operation) == "Cast"
    return is_cast and not node.operation._outbound_nodes


def graph_structure(model):
    """Inputs and outputs as they were given: tensors, lists or dicts."""
    return model._inputs_struct, model._outputs_struct


def functional_graph(model):
    """The functional model behind a model, or None.

    A Sequential model has one once it is built; a subclassed one has none.
    """
    if isinstance(model, keras.Sequential):
        return getattr(model, "_functional", None) if model.built else None
    return model if hasattr(model, "_nodes_by_depth") else None


def input_shapes(model):
    """Shapes that a subclassed model was built for, or None.

    Returns:
        Maps the arguments of its `call` to shapes, or structures of them.
    """
    shapes = getattr(model, "_build_shapes_dict", None)
    if not model.built or not shapes:
        return None
    return shapes


def producer(tensor):
    """The layer or operation that a symbolic tensor comes from."""
    return tensor._keras_history.operation


def producer_name(tensor):
    """Name of the layer that a symbolic tensor comes from."""
    return producer(tensor).name


def producing_node(tensor):
    """The node of the graph that a symbolic tensor comes from."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def comes_from_layer(tensor):
    """Whether a symbolic tensor comes from a layer, or from a model."""
    return isinstance(tensor._keras_history.operation, keras.layers.Layer)


def has_mask(tensor):
    """Whether a symbolic tensor carries a mask along."""
    return mask_of(tensor) is not None


def mask_of(tensor):
    """The mask that a tensor carries along, or None."""
    return getattr(tensor, "_keras_mask", None)


def input_like(tensor, name):
    """A new input of a graph, of the same kind as another one."""
    kinds = {
        kind: True
        for kind in ("sparse", "ragged")  # Keras 3.8 knows no ragged ones
        if getattr(tensor, kind, False)
    }
    return keras.Input(
        batch_shape=tensor.shape,
        dtype=tensor.dtype,
        name=name,
        optional=getattr(tensor._keras_history.operation, "optional", False),
        **kinds,
    )


def is_dense(tensor):
    """Whether a symbolic tensor is neither sparse nor ragged."""
    return not (
        getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False)
    )


def set_tensor_shape(tensor, axis, size):
    """Changes the size of one axis of a symbolic tensor."""
    shape = list(tensor.shape)
    shape[axis] = size
    tensor._shape = tuple(shape)

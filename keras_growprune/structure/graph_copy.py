"""Copies of functional graphs, with other layers in them."""

import keras

from keras_growprune import keras_internals
from keras_growprune.structure.cloning import clone_layer
from keras_growprune.structure.cloning import copy_weights


class GraphCopy:
    """A copy of a functional model, without models inside it.

    Calls of models inside become the calls that these models make.

    Args:
        graph: A functional model.
        new_layer: Function of a layer that returns the layer to take its
            place. Defaults to `None`: a copy.
        new_call: Function of a call (of a layer that is no model) and of the
            list of its new input tensors, that returns the new output or
            None to call the new layer. Defaults to `None`: always.
        expand: Function of a call that returns a functional model which does
            the same, with one input for each input tensor of the call, or
            None to call the new layer. Defaults to `None`: always.
        inputs: Symbolic tensors that it begins with, as a part of their graph:
            outputs need no names then. Defaults to `None`: inputs like those
            of the given model.

    Attributes:
        inputs, outputs: The tensors, in the structure of the given model's.
        pairs: List of `(old layer, new layer)`.
        origins: Maps the `id` of each new tensor to the ids of the models and
            layers whose inside it comes from.
    """

    def __init__(
        self, graph, new_layer=None, new_call=None, expand=None, inputs=None
    ):
        self._new_layer = new_layer or clone_layer
        self._new_call = new_call or (lambda call, tensors: None)
        self._expand = expand or (lambda call: None)
        self._layers = {}
        self._names = set()
        self.pairs, self.origins = [], {}
        self._inside = ()
        old_inputs, old_outputs = keras_internals.graph_structure(graph)
        is_part = inputs is not None
        if not is_part:
            inputs = keras.tree.map_structure(self._new_input, old_inputs)
        self.inputs = inputs
        # A network in the host's memory stays there.
        with keras_internals.beside(graph.variables):
            self.outputs = self._run(graph, self.inputs)
            if not is_part:
                self.outputs = keras.tree.map_structure(
                    self._with_name, old_outputs, self.outputs
                )
        for old, new in self.pairs:
            copy_weights(old, new)

    def _with_name(self, old, new):
        """An output keeps its name, by which users know losses."""
        name = keras_internals.producer_name(old)
        is_op = not keras_internals.comes_from_layer(old)
        if is_op or name == keras_internals.producer_name(new):
            return new
        return keras.layers.Identity(name=name)(new)

    def _new_input(self, tensor):
        name = keras_internals.producer_name(tensor)
        self._names.add(name)
        return keras_internals.input_like(tensor, name)

    def _run(self, graph, inputs, training=None, prefix=""):
        old_inputs, old_outputs = keras_internals.graph_structure(graph)
        tensors = {
            id(old): new
            for old, new in zip(
                keras.tree.flatten(old_inputs), keras.tree.flatten(inputs)
            )
        }
        for call in keras_internals.graph_calls(graph):
            if call.node.is_input:
                continue
            inside = self._inside
            self._inside = (*inside, id(call.operation))
            outputs = self._call(call, tensors, training, prefix)
            self._inside = inside
            for old, new in zip(call.outputs, keras.tree.flatten(outputs)):
                tensors[id(old)] = new
                self.origins.setdefault(id(new), inside)
        return keras.tree.map_structure(lambda x: tensors[id(x)], old_outputs)

    def _call(self, call, tensors, training, prefix):
        operation = call.operation
        args, kwargs = call.node.arguments.fill_in(tensors)
        if training is not None and keras_internals.takes_training(operation):
            kwargs = {"training": training, **kwargs}
        if isinstance(operation, keras.Model):
            inner = keras_internals.functional_graph(operation)
            if inner is not None:
                return self._run(
                    inner,
                    args[0] if args else kwargs["inputs"],
                    kwargs.get("training"),
                    f"{prefix}{operation.name}_",
                )
        new_inputs = [tensors[id(x)] for x in call.inputs]
        expanded = self._expand(call)
        if expanded is not None:
            prefix = f"{prefix}{operation.name}_"
            training = kwargs.get("training")
            return self._run(expanded, new_inputs, training, prefix)
        new = self._new_call(call, new_inputs)
        if new is not None:
            return new
        if not isinstance(operation, keras.layers.Layer):
            return keras_internals.clone_operation(operation)(*args, **kwargs)
        if id(operation) not in self._layers:
            layer = self._new_layer(operation)
            if layer.name in self._names:  # a model inside has it as well
                layer.name = prefix + layer.name
            self._names.add(layer.name)
            self._layers[id(operation)] = layer
            self.pairs.append((operation, layer))
        return self._layers[id(operation)](*args, **kwargs)

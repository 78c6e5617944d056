"""Every private name of Keras that this library touches.

Verified with Keras 3.8 to 3.15 on TensorFlow 2.18 to 2.21. Older ones are
refused: before Keras 3.8 a variable cannot change its shape in place.
"""

import contextlib
import copy
import ctypes
import dataclasses
import functools
import gc
import importlib
import sys
import types
import weakref

import keras
import tensorflow as tf
from keras.src.backend.common import global_state

_FLOOR = (3, 8)


def check_versions():
    """Refuses a Keras that cannot resize variables, by its names alone."""
    version = tuple(int(part) for part in keras.__version__.split(".")[:2])
    if version < _FLOOR:
        raise ImportError(
            "keras_growprune needs Keras 3.8 or newer. Received: Keras "
            f"{keras.__version__}. Run `pip install -U keras`."
        )
    if keras.backend.backend() != "tensorflow":
        raise ImportError(
            "keras_growprune needs Keras's TensorFlow backend. Received: "
            f"backend={keras.backend.backend()!r}. Set the environment "
            "variable `KERAS_BACKEND=tensorflow` before you import Keras."
        )
    names = [
        (keras.Variable, "_initialize"),
        (keras.optimizers.Optimizer, "_all_reduce_sum_gradients"),
        (keras.Model, "_compute_loss"),
        (keras.Function, "_run_through_graph"),
    ]
    for owner, name in names:
        if not hasattr(owner, name):
            raise ImportError(
                "keras_growprune does not know this version of Keras: "
                f"`{owner.__name__}.{name}` is gone. Received: Keras "
                f"{keras.__version__}. Install an older one, or a newer "
                "keras_growprune."
            )


# Functional graphs


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation in a functional graph."""

    operation: object
    inputs: list
    outputs: list
    node: object

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


def operation_name(operation):
    """Name of a class of `keras.ops`, or None for anything else."""
    kind = type(operation)
    is_ours = kind.__module__.startswith("keras.src.ops.")
    return kind.__name__ if is_ours else None


def clone_operation(operation, **attributes):
    """A copy of a stateless operation of `keras.ops`, called by nobody.

    Args:
        operation: The operation.
        **attributes: Arguments of its constructor that are to differ.
    """
    kind = type(operation)
    try:
        return kind(**{**operation.get_config(), **attributes})
    except (NotImplementedError, TypeError):
        # Its arguments are not kept. They are its attributes.
        clone = copy.copy(operation)
        clone._inbound_nodes, clone._outbound_nodes = [], []
        for name, value in attributes.items():
            setattr(clone, name, value)
        return clone


def layers_of_applications():
    """Layers that networks of `keras.applications` have of their own.

    Returns:
        Maps names to classes; those that this Keras has not are left out.
    """
    modules = {
        "LayerScale": "keras.src.applications.convnext",
        "StochasticDepth": "keras.src.applications.convnext",
        "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
    }
    found = {}
    for name, module in modules.items():
        try:
            found[name] = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    return found


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


class LazyFunctional(keras.Model):
    """A functional model that calls only what its outputs depend on.

    With the attribute `_call_plan` set, `_call_plan.steps` lists
    `(call, alias, after)` in topological order: `alias` is the input tensor
    that stands for the output of a call which is left out, or None; `after`
    is a function on the output, or None.

    Attributes:
        was_called_by_others: Whether it was called other than by its own
            `fit`, `evaluate` or `predict`: maybe as a part of another model.
    """

    was_called_by_others = False
    _follows_plan = False
    _is_own_step = False

    @contextlib.contextmanager
    def own_step(self):
        """Inside, the model calls itself."""
        self._is_own_step = True
        try:
            yield
        finally:
            self._is_own_step = False

    def test_step(self, data):
        with self.own_step():
            return super().test_step(data)

    def predict_step(self, data):
        with self.own_step():
            return super().predict_step(data)

    def call(self, inputs, training=None, mask=None, **kwargs):
        if not self._is_own_step:
            self.was_called_by_others = True
        with self.following_plan():
            return super().call(inputs, training=training, mask=mask, **kwargs)

    def compute_output_spec(self, inputs, training=None, mask=None):
        if not self._is_own_step:
            self.was_called_by_others = True
        with self.following_plan():
            return super().compute_output_spec(inputs, training, mask)

    @contextlib.contextmanager
    def following_plan(self):
        """Inside, the graph runs as `_call_plan` says, if there is one."""
        before = self._follows_plan
        self._follows_plan = getattr(self, "_call_plan", None) is not None
        try:
            yield
        finally:
            self._follows_plan = before

    def _run_through_graph(
        self, inputs, operation_fn=lambda op: op, call_fn=None
    ):
        if not self._follows_plan:  # Keras clones the graph: the whole of it
            return super()._run_through_graph(
                inputs, operation_fn=operation_fn, call_fn=call_fn
            )
        values = self._values_of_graph(inputs, operation_fn)
        return keras.tree.pack_sequence_as(
            self._outputs_struct, [values[id(x)] for x in self.outputs]
        )

    def _values_of_graph(self, inputs, operation_fn):
        """Values of all tensors that the plan computes, by `id`."""
        values = {
            id(tensor): value
            for tensor, value in zip(self.inputs, keras.tree.flatten(inputs))
        }
        for call, alias, after in self._call_plan.steps:
            if call.node.is_input:
                continue
            if alias is not None:
                values[id(call.outputs[0])] = values[id(alias)]
                continue
            args, kwargs = call.node.arguments.fill_in(values)
            outputs = operation_fn(call.operation)(*args, **kwargs)
            if after is not None:
                outputs = after(outputs)
            for tensor, value in zip(call.outputs, keras.tree.flatten(outputs)):
                values[id(tensor)] = value
        return values


def call_training_only(model, inputs, layer_class, tensors=None):
    """Calls a functional model with one type of layer in training mode.

    Args:
        model: A `LazyFunctional`.
        inputs: Its inputs.
        layer_class: The type of layer.
        tensors: Symbolic tensors of the model whose values to return instead
            of its outputs, None for what is not computed.
    """

    def wrap(operation):
        if not takes_training(operation):
            return operation
        is_training = isinstance(operation, layer_class)
        return functools.partial(operation, training=is_training)

    inputs = model._standardize_inputs(inputs)
    with model.following_plan():
        if tensors is None:
            return model._run_through_graph(inputs, operation_fn=wrap)
        values = model._values_of_graph(inputs, wrap)
        return [values.get(id(tensor)) for tensor in tensors]


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


def producer_name(tensor):
    """Name of the layer that a symbolic tensor comes from."""
    return tensor._keras_history.operation.name


def producing_node(tensor):
    """The node of the graph that a symbolic tensor comes from."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def has_mask(tensor):
    """Whether a symbolic tensor carries a mask along."""
    return getattr(tensor, "_keras_mask", None) is not None


def own_variables(layer):
    """Variables of a layer that do not belong to a layer inside it."""
    inside = {id(v) for part in parts(layer) for v in part.variables}
    return [v for v in layer.variables if id(v) not in inside]


def own_functions(layer, config):
    """Entries of a layer's config that are functions of the user's own."""
    return {
        name: value
        for name, value in vars(layer).items()
        if name in config
        and isinstance(value, types.FunctionType)
        and not value.__module__.startswith("keras.")
    }


@contextlib.contextmanager
def trusting(layer):
    """Inside, a layer's config may hold what the layer itself holds.

    Functions and classes that were never registered, lambdas too.
    """
    objects = {}
    for value in vars(layer).values():
        if isinstance(value, types.FunctionType):
            objects[value.__name__] = value
        elif hasattr(value, "get_config"):
            objects[type(value).__name__] = type(value)
    ours = {
        name: value
        for name, value in objects.items()
        if not value.__module__.startswith("keras.")
    }
    name = "safe_mode_saving"
    before = global_state.get_global_attribute(name)
    global_state.set_global_attribute(name, False)
    try:
        with keras.saving.custom_object_scope(ours):
            yield
    finally:
        global_state.set_global_attribute(name, before)


def parts(layer):
    """The layers that a layer has as its attributes."""
    return list(getattr(layer, "_layers", ()))


def comes_from_layer(tensor):
    """Whether a symbolic tensor comes from a layer, or from a model."""
    return isinstance(tensor._keras_history.operation, keras.layers.Layer)


def all_layers(model):
    """All layers of a model, those of its parts included."""
    return list(model._flatten_layers(include_self=False))


def has_own_train_step(model):
    """Whether the class of a model trains in another way than Keras."""
    return type(model).train_step is not keras.Model.train_step


def takes_training(operation):
    """Whether an operation's `call` has the argument `training`."""
    return bool(getattr(operation, "_call_has_training_arg", False))


def graph_structure(model):
    """Inputs and outputs as they were given: tensors, lists or dicts."""
    return model._inputs_struct, model._outputs_struct


def set_tensor_shape(tensor, axis, size):
    """Changes the size of one axis of a symbolic tensor."""
    shape = list(tensor.shape)
    shape[axis] = size
    tensor._shape = tuple(shape)


# Variables


def read_variable(variable):
    """The value of a variable as a NumPy array.

    Many small variables are read at each restructuring: the operation itself
    takes a third of the time of `variable.numpy()`.
    """
    if isinstance(variable.value, tf.distribute.DistributedValues):
        return variable.numpy()
    return tf.raw_ops.ReadVariableOp(
        resource=variable.value.handle, dtype=variable.value.dtype
    ).numpy()


def resize_variable(variable, value):
    """Gives a variable a value of another shape; the object stays the same.

    To be called inside `reindexed`.
    """
    variable._initialize(value)
    variable._shape = tuple(value.shape)
    variable._ndim = len(value.shape)


def raw_resource(variable):
    """The TensorFlow variable behind a Keras variable."""
    return variable.value


def forget_resource(resource):
    """Frees a TensorFlow variable that was replaced.

    A function that somebody traced over it earlier then fails with an error
    about a deleted variable, instead of answering from stale weights.
    """
    handle = getattr(resource, "handle", None)
    if isinstance(handle, tf.__internal__.EagerTensor):
        tf.raw_ops.DestroyResourceOp(resource=handle, ignore_lookup_error=True)


# Optimizers


def inner_optimizer(optimizer):
    """The optimizer that holds the per-variable state."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def optimizer_slots(optimizer):
    """Per-variable state of a built optimizer.

    Returns:
        Maps each attribute that holds such state to a list with one variable
        (or None) for each variable that the optimizer was built with.
    """
    optimizer = inner_optimizer(optimizer)
    count = len(optimizer._trainable_variables)
    slots = {}
    for name, value in vars(optimizer).items():
        if name in ("_trainable_variables", "_variables"):
            continue
        if not isinstance(value, (list, tuple)) or len(value) != count:
            continue
        variables = [item for item in value if item is not None]
        if variables and all(isinstance(v, keras.Variable) for v in variables):
            slots[name] = list(value)
    return slots


def slot_initial_values(optimizer):
    """What each kind of per-variable state starts with, by its name."""
    inner = inner_optimizer(optimizer)
    fresh = type(inner).from_config(inner.get_config())
    fresh.build([keras.Variable([0.5], name="probe")])
    return {
        name: float(slots[0].numpy().flat[0])
        for name, slots in optimizer_slots(fresh).items()
        if slots[0] is not None
    }


def optimizer_variables(optimizer):
    """The variables that an optimizer was built with, in its order."""
    return list(inner_optimizer(optimizer)._trainable_variables)


def check_optimizer_can_be_carried(optimizer):
    """Refuses an optimizer whose state cannot follow a change of shape.

    Raises:
        ValueError: If some of its state is not shaped like the variables.
    """
    inner = inner_optimizer(optimizer)
    known = set()
    misfit = None
    for name, slots in optimizer_slots(optimizer).items():
        for slot, variable in zip(slots, inner._trainable_variables):
            if slot is None:
                continue
            known.add(id(slot))
            if tuple(slot.shape) not in (tuple(variable.shape), ()):
                misfit = name
    for variable in inner.variables:
        if id(variable) not in known and len(variable.shape):
            misfit = misfit or variable.name
    if not hasattr(inner, "_trainable_variables") or misfit is not None:
        raise ValueError(
            "The optimizer's state must have the shapes of the variables, so "
            "that it can follow when the network changes its shape. Received: "
            f"optimizer={type(inner).__name__}, whose `{misfit}` has other "
            "shapes. Use SGD, Adam, AdamW, RMSprop, Adagrad, Lion or another "
            "optimizer without factored state."
        )


@contextlib.contextmanager
def reindexed(optimizers):
    """Inside, variables may be resized; optimizers' indices stay true."""
    before = []
    for optimizer in optimizers:
        for each in {
            id(o): o for o in (optimizer, inner_optimizer(optimizer))
        }.values():
            variables = list(each._trainable_variables)
            excluded = getattr(each, "_exclude_from_weight_decay", None)
            kept = [
                excluded is not None and each._var_key(v) in excluded
                for v in variables
            ]
            before.append((each, variables, excluded is not None, kept))
    with tf.init_scope():  # once: it takes time for each of many variables
        yield
    for each, variables, has_excluded, kept in before:
        each._trainable_variables_indices = {
            each._var_key(v): index for index, v in enumerate(variables)
        }
        if has_excluded:
            each._exclude_from_weight_decay = {
                each._var_key(v) for v, keep in zip(variables, kept) if keep
            }
        if hasattr(each, "_exclude_from_weight_decay_cache"):
            each._exclude_from_weight_decay_cache = {}


@contextlib.contextmanager
def no_reduction_on_one_replica(optimizer):
    """Leaves out the sum of gradients over replicas where there is one.

    The default strategy keeps every traced graph that goes through it alive,
    several MiB at each change of structure.
    """
    inner = inner_optimizer(optimizer)
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync != 1:
        yield
        return
    inner._all_reduce_sum_gradients = lambda grads_and_vars: grads_and_vars
    try:
        yield
    finally:
        del inner._all_reduce_sum_gradients


# Training


def compute_loss(model, x, y, y_pred, sample_weight):
    return model._compute_loss(
        x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
    )


def track_loss(model, loss, batch_size):
    """Counts a batch's loss in the metric `loss`."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    model._loss_tracker.update_state(loss * replicas, sample_weight=batch_size)


def is_callback_list(callbacks):
    return isinstance(callbacks, keras.callbacks.CallbackList)


def prepend_callback(callbacks, callback):
    """Puts a callback in front of those of a ready `CallbackList`."""
    callbacks.callbacks.insert(0, callback)
    callback.set_params(callbacks.params)


class LayerSharing:
    """Finds other living models that have one of a model's layers.

    To look through all objects takes as long as a training step. A model that
    takes up a layer refers to it, and one that takes up the layers' own model
    calls it: as long as the layers' reference counts stay the same and nobody
    called the model, nothing new is there to be found.

    Args:
        layers: The layers to look for.
        model: Their own model, a `LazyFunctional`.
    """

    def __init__(self, layers, model):
        self._layers = list(layers)
        self._model = weakref.ref(model)
        self._counts_without = None

    def find(self):
        """Returns the list of these models."""
        was_called = self._model().was_called_by_others
        if self._count() == self._counts_without and not was_called:
            return []
        found = self._search()
        if found:  # some may be garbage that is only not collected yet
            found = None
            gc.collect()
            found = self._search()
        self._counts_without = None if found else self._count()
        self._model().was_called_by_others = False
        return found

    def _count(self):
        return [sys.getrefcount(layer) for layer in self._layers]

    def _search(self):
        ours = {id(layer) for layer in self._layers}
        found = []
        types = _subclasses(keras.Model)
        # An instance refers to its class. Asking for that is faster than to
        # look at all objects, and `isinstance` wakes up lazy modules.
        for candidate in gc.get_referrers(*types):
            if type(candidate) not in types or candidate is self._model():
                continue
            try:
                parts = candidate._flatten_layers(include_self=False)
                shares = any(id(layer) in ours for layer in parts)
            except AttributeError:  # under construction
                continue
            if shares:
                found.append(candidate)
        return found


def _subclasses(base):
    found = {base}
    for each in base.__subclasses__():
        found |= _subclasses(each)
    return found


def release_memory():
    """Gives the memory of dropped traces back to the operating system."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        pass  # not glibc: nothing to do

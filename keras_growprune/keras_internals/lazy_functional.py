"""A functional model that calls only what its outputs depend on."""

import collections
import contextlib
import warnings

import keras

from keras_growprune import backend
from keras_growprune.keras_internals.distributed_fit import DistributedFit
from keras_growprune.keras_internals.layers import takes_training
from keras_growprune.keras_internals.running import doing
from keras_growprune.keras_internals.running import is_doing


class LazyFunctional(DistributedFit, keras.Model):
    """A functional model that calls only what its outputs depend on.

    With the attribute `_call_plan` set, `_call_plan.steps` lists
    `(call, alias, after)` in topological order: `alias` is the input tensor
    that stands for the output of a call which is left out, or None; `after`
    is a function on the output. `_call_plan.running()` is a context around
    every call, and `_call_plan.checked(inputs)` is what others call it on who
    trace the model.

    Attributes:
        was_called_by_others: Whether it was called other than by its own
            `fit`, `evaluate` or `predict`: maybe as a part of another model.
    """

    was_called_by_others = False

    def own_step(self):
        """Returns a context: inside, in this thread, the model calls itself."""
        return doing("own step", self)

    def test_step(self, data):
        with self.own_step():
            return super().test_step(data)

    def predict_step(self, data):
        with self.own_step():
            return super().predict_step(data)

    def call(self, inputs, training=None, mask=None, **kwargs):
        is_own = is_doing("own step", self)
        if not is_own:
            self.was_called_by_others = True
        plan = getattr(self, "_call_plan", None)
        if plan is not None and not is_own and backend.is_tracing():
            inputs = plan.checked(inputs)

        def run():
            with self.following_plan():
                return super(LazyFunctional, self).call(
                    inputs, training=training, mask=mask, **kwargs
                )

        if training and not is_own:
            return self.called_in_training(run, inputs)
        return run()

    def called_in_training(self, run, inputs):
        """Others call the model with `training=True`.

        Args:
            run: Function that does it.
            inputs: The inputs, to look at.

        Returns:
            The outputs.
        """
        return run()

    def compute_output_spec(self, inputs, training=None, mask=None):
        if not is_doing("own step", self):
            self.was_called_by_others = True
        with self.following_plan():
            return super().compute_output_spec(inputs, training, mask)

    @contextlib.contextmanager
    def following_plan(self):
        """Inside, the graph runs as `_call_plan` says, if there is one."""
        plan = getattr(self, "_call_plan", None)
        if plan is None:
            yield
            return
        with doing("plan", self), plan.running():
            yield

    def _run_through_graph(
        self, inputs, operation_fn=lambda op: op, call_fn=None
    ):
        if not is_doing("plan", self):
            if getattr(self, "_call_plan", None) is not None:
                _warn_of_clone(self)
            return super()._run_through_graph(
                inputs, operation_fn=operation_fn, call_fn=call_fn
            )
        values = self._values_of_graph(inputs, operation_fn, self.outputs)
        return keras.tree.pack_sequence_as(
            self._outputs_struct, [values[id(x)] for x in self.outputs]
        )

    def _values_of_graph(self, inputs, operation_fn, wanted):
        """Values of tensors that the plan computes, by `id`.

        Only those that are wanted are still there in the end: where nothing is
        traced, all of them together need as much memory as a training step.

        Args:
            inputs: Values of the inputs.
            operation_fn: Function that returns what to call for an operation.
            wanted: List of symbolic tensors, or None among them.
        """
        values = {
            id(tensor): value
            for tensor, value in zip(self.inputs, keras.tree.flatten(inputs))
        }
        steps = [
            (call, alias, after, [alias] if alias is not None else call.inputs)
            for call, alias, after in self._call_plan.steps
            if not call.node.is_input
        ]
        readers = collections.Counter(map(id, wanted))
        for *_, read in steps:
            readers.update(map(id, read))
        for call, alias, after, read in steps:
            if alias is not None:
                outputs = values[id(alias)]
            else:
                args, kwargs = call.fill_in(values)
                outputs = operation_fn(call.operation)(*args, **kwargs)
                del args, kwargs
                if after is not None:
                    outputs = after(outputs)
            for tensor, value in zip(call.outputs, keras.tree.flatten(outputs)):
                if readers[id(tensor)]:
                    values[id(tensor)] = value
            del outputs
            readers.subtract(map(id, read))
            for tensor in read:
                if not readers[id(tensor)]:
                    values.pop(id(tensor), None)
        return values


def standardized_inputs(model, inputs):
    """Inputs of a functional model as its graph takes them, a list."""
    return model._standardize_inputs(inputs)


def count_calls(model):
    """How often the plan of a `LazyFunctional` calls each operation, by id."""
    return collections.Counter(
        id(call.operation)
        for call, alias, _ in model._call_plan.steps
        if alias is None
    )


def _warn_of_clone(model):
    """Keras clones the graph: the whole of it."""
    warnings.warn(
        f"Model `{model.name}` is cloned as a plain model of full width, which "
        "does not grow. A clone that grows: "
        "`type(model).from_config(model.get_config())`.",
        stacklevel=5,
    )


def call_training_only(model, inputs, layer_class, tensors=None, around=None):
    """Calls a functional model with one type of layer in training mode.

    Args:
        model: A `LazyFunctional`.
        inputs: Its inputs, as `standardized_inputs` returns them.
        layer_class: The type of layer.
        tensors: Symbolic tensors of the model whose values to return instead
            of its outputs, None for what is not computed.
        around: Function of a layer of that type, a context for each call.
    """

    def wrap(operation):
        if not takes_training(operation):
            return operation
        is_training = isinstance(operation, layer_class)
        set_up = around if around and is_training else contextlib.nullcontext

        def call(*args, **kwargs):
            with set_up(operation):
                # Whatever the graph says: nor does `fit` look at that.
                kwargs["training"] = is_training
                return operation(*args, **kwargs)

        return call

    with model.following_plan():
        if tensors is None:
            return model._run_through_graph(inputs, operation_fn=wrap)
        values = model._values_of_graph(inputs, wrap, tensors)
        return [values.get(id(tensor)) for tensor in tensors]

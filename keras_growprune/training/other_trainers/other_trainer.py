"""What growing needs of training that is not `GrowPruneModel.fit`."""

import contextlib

import keras
from keras import ops

from keras_growprune import backend
from keras_growprune import keras_internals
from keras_growprune.training.other_trainers import loop_validation
from keras_growprune.training.other_trainers.seen_penalties import (
    seeing_penalties,
)
from keras_growprune.training.training_step import absent_variables
from keras_growprune.training.training_step import penalty_on_structure
from keras_growprune.training.training_step import sum_over_replicas


class OtherTrainer:
    """Takes part in the steps of whoever trains the model from outside.

    While it takes part, each call with `training=True` is what it is in
    `fit`: batch norms restart their averages, examples are kept. The
    gradients are seen where they are handed to the optimizer, on whatever
    tape they were taken. So nobody else's step has to be written in a certain
    way, and it may be traced or run.

    Args:
        model: The `GrowPruneModel`.
        network: Its `GrowingNetwork`.
        functions: Its `FunctionCache`, which counts what is traced.

    Attributes:
        optimizer: The optimizer that trains or has trained the model from
            outside, or None.
        is_active: Whether an epoch is running.
        outer: The Keras model around it whose `fit` that is, if any.
    """

    def __init__(self, model, network, functions):
        self._model, self._network = model, network
        self._functions = functions
        self.optimizer = self.outer = None
        self.is_active = False
        self._warned = False
        self._own_steps = 0
        self._part = contextlib.ExitStack()
        self._penalized = set()  # in the step that is traced or run
        self._batch_size = keras.Variable(
            0.0,
            trainable=False,
            dtype="float32",
            autocast=False,
            name="batch_size",
        )

    def begin(self, optimizer):
        """Starts to take part.

        Args:
            optimizer: An optimizer that was found good.
        """
        self.pause()
        self.optimizer, self.is_active = optimizer, True
        self._part.enter_context(
            keras_internals.seeing_gradients(optimizer, self._apply)
        )
        self._part.enter_context(
            seeing_penalties(self._model.trainable_variables, self._penalized)
        )

    def pause(self):
        """Takes no part until it begins anew."""
        self._part.close()
        self.is_active = False

    def leave(self):
        """The model trains itself from now on."""
        self.pause()
        self.optimizer = self.outer = None

    def step(self, step, data):
        """Takes part in a `train_step` that a user has written in `fit`.

        Args:
            step: The `train_step`, of a subclass of the model's class.
            data: What it is to be called with.

        Returns:
            What it returns.
        """
        if self.is_active and not self._own_steps:
            return step(data)
        if not self._own_steps:
            self.begin(self._model.optimizer)
        self._own_steps += 1  # each replica makes one
        try:
            return step(data)
        finally:
            self._own_steps -= 1
            if not self._own_steps:
                self.leave()

    def check_steps(self):
        """Refuses to go on where steps were made, and none was seen.

        Returns:
            How many were seen in this period.
        """
        steps = int(self._network.meter.read()["steps"])
        if not self._network.state.settled:
            loop_validation.check_steps(self._model, steps)
        return steps

    def call(self, run, inputs):
        """A call with `training=True` from outside.

        Args:
            run: Function that makes it.
            inputs: The inputs.

        Returns:
            The outputs.
        """
        network = self._network
        if not self.is_active:
            may_be_a_mistake = not (network.state.settled or self._warned)
            return self._watched(run()) if may_be_a_mistake else run()
        first = next(x for x in keras.tree.flatten(inputs) if x is not None)
        self._batch_size.assign(ops.cast(ops.shape(first)[0], "float32"))
        points, factors = network.meter.factors_seen_backwards()
        with (
            network.norms.momentum(),
            network.plan.explicit_factors(points, factors),
        ):
            outputs = run()
        network.norms.keep(self._model, inputs)
        return outputs

    def _watched(self, outputs):
        """The outputs; who takes gradients through them will be told."""

        def see(_, gradient):
            if not (self._warned or self._network.state.settled):
                self._warned = True
                loop_validation.warn_of_other_trainer(self._model)

        return keras.tree.map_structure(
            lambda x: x if x is None else backend.seen_backwards(x, see),
            outputs,
        )

    def _apply(self, apply, grads, variables):
        """What the optimizer does with the gradients of a step.

        Args:
            apply: Its own `apply`.
            grads, variables: What that was to be called with, lists.
        """
        network, optimizer = self._network, self.optimizer
        if keras_internals.is_doing("own step", self._model):
            apply(grads, variables)  # that takes care of all
            return
        if network.store.optimizer is not optimizer:
            self._attach(variables)
        ours = {id(variable) for variable in self._model.trainable_variables}
        gradient_of = {id(v): g for g, v in zip(grads, variables)}
        is_reduced = any(gradient_of.get(key) is not None for key in ours)
        if is_reduced:
            self._functions.note_trace("train")
            scale = optimizer.scale_loss(ops.ones(()))
            # Other replicas note theirs while this one waits for them.
            penalized = frozenset(self._penalized)
            self._penalized.clear()
            grads, _, examples = sum_over_replicas(grads, [], self._batch_size)
            gradient_of = {id(v): g for g, v in zip(grads, variables)}
            network.norms.count_step()
            network.meter.update(
                gradient_of, None, examples, scale, penalized=penalized
            )
            if network.plan.gates_are_soft:
                gradient_of.update(self._with_penalty(gradient_of, scale))
        absent = absent_variables(network)
        pairs = [
            (gradient_of[id(v)], v) for v in variables if id(v) not in absent
        ]
        if not pairs:
            return
        grads, variables = map(list, zip(*pairs))
        reduced = contextlib.nullcontext()
        if is_reduced or backend.replica_count() == 1:
            reduced = keras_internals.of_all_replicas(optimizer)
        with (
            keras_internals.doing("step", optimizer),
            reduced,
            keras_internals.with_some_variables(optimizer, variables),
        ):
            apply(grads, variables)

    def _attach(self, variables):
        """Attaches an optimizer that builds itself at its first step."""
        with backend.outside_of_traces():
            if not self.optimizer.built:
                self.optimizer.build(variables)
            loop_validation.check_optimizer(
                self._model, self._network, self.optimizer
            )
            self._network.attach_optimizer(self.optimizer)

    def _with_penalty(self, gradient_of, scale):
        """Gradients of the logits, of the loss and the penalty together."""
        logits = self._network.gates.variables()
        penalties, _, _ = backend.gradients(
            lambda: (
                ops.cast(scale, "float32")
                * penalty_on_structure(self._network, 1),
                None,
            ),
            logits,
            [],
        )
        return {
            id(v): _sum(gradient_of.get(id(v)), penalty)
            for v, penalty in zip(logits, penalties)
        }


def _sum(one, other):
    found = [each for each in (one, other) if each is not None]
    return sum(found) if found else None

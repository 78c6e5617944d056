"""Runs the growing of one model: decides, changes, keeps the books."""

import time

import numpy as np

from keras_growprune import backend
from keras_growprune import keras_internals
from keras_growprune.layers.growable import is_count
from keras_growprune.structure import Structure
from keras_growprune.structure import check_not_rewritten
from keras_growprune.training import validation
from keras_growprune.training.agreement import check_agreement
from keras_growprune.training.change import Change
from keras_growprune.training.clock import Clock
from keras_growprune.training.function_cache import FunctionCache
from keras_growprune.training.growing_network import GrowingNetwork
from keras_growprune.training.ledger import Ledger
from keras_growprune.training.other_trainers import loop_validation
from keras_growprune.training.other_trainers.other_trainer import OtherTrainer
from keras_growprune.training.seed_network import seed_structure
from keras_growprune.training.transaction import Transaction


class GrowthController:
    """Lets the network of a model change between the periods of a run.

    Args:
        model: The `GrowPruneModel`, at its full width.
        blueprint: Its `Blueprint`.
        seed: Integer, of all random numbers.
        keep_weights: Whether the seed network has weights of the model.

    Attributes:
        network: The `GrowingNetwork`.
        functions: The `FunctionCache`.
        others: The `OtherTrainer`.
        ledger: The `Ledger`.
        seed_widths, seed_gates: What the seed network has.
        saved_moments: What `shortcut_moments` was when the run was saved that
            goes on with the next period.
    """

    def __init__(self, model, blueprint, seed, keep_weights=False):
        self.model = model
        self.blueprint = blueprint
        self.network = GrowingNetwork(blueprint, seed, model.name)
        self.functions = FunctionCache(
            model,
            self.network.trace_key,
            lambda: self.network.structure,
            self.network.lock,
        )
        self.others = OtherTrainer(model, self.network, self.functions)
        flops = blueprint.flops
        self.ledger = Ledger(flops.full if flops else float("nan"))
        self.ledger.full_widths = blueprint.map.sizes
        self.ledger.live_widths = blueprint.map.live_widths
        self._clock = Clock(self.functions)
        self._sharing = keras_internals.LayerSharing(
            blueprint.map.layers, model
        )
        self.saved_moments = {}
        self.is_fitting = False
        self._restructured = self._may_differ = False
        self._epochs = 0, 0  # of a call of `fit`, and of the whole run
        self._plant_seed(keep_weights)

    @property
    def state(self):
        return self.network.state

    def _plant_seed(self, keep_weights):
        """Gives the network its first structure.

        Args:
            keep_weights: Whether units are chosen by their weights, which
                stay; else the first units, with fresh weights.
        """
        blueprint = self.blueprint
        target = blueprint.schedule.seed_fraction * blueprint.cost.full
        seed = seed_structure(
            blueprint.map,
            blueprint.space,
            target,
            blueprint.schedule.seed_shape,
            blueprint.identities,
            blueprint.points if keep_weights else None,
        )
        self.seed_widths = blueprint.map.widths(seed.units)
        self.seed_gates = seed.gates
        state = self.state.copy()
        state.units, state.gates = seed.units, seed.gates
        self._change(state, keep=keep_weights)
        self.network.one_trace.make_all_elastic()
        keras_internals.bring_here(self.model.variables)
        blueprint.rule.start(self.state, blueprint.space, target)
        self.network.gates.push(self.state)

    def is_seed(self):
        """Whether the network has the widths and gates of the seed."""
        has_widths = np.array_equal(self.network.widths(), self.seed_widths)
        return has_widths and np.array_equal(self.state.gates, self.seed_gates)

    # The periods of a run

    @backend.in_scope
    def prepare_run(self, epochs, initial_epoch, growth_epochs):
        """Called by `fit` before anything else.

        Args:
            epochs, initial_epoch: As in `fit`.
            growth_epochs: Length of the whole run in epochs, or None.

        Raises:
            ValueError: If `growth_epochs` is no positive integer, or the
                optimizer's state cannot follow a change of shape.
        """
        if growth_epochs is not None and not is_count(growth_epochs):
            raise ValueError(
                "Argument `growth_epochs` must be a positive integer, the "
                "length of the whole run in epochs. Received: "
                f"growth_epochs={growth_epochs!r}"
            )
        check_not_rewritten(self.model)
        self.attach_optimizer()
        inputs, _ = keras_internals.graph_structure(self.model)
        self.network.norms.prepare_to_keep(inputs)
        self._epochs = max(epochs - initial_epoch, 0), int(growth_epochs or 0)

    def begin_run(self, steps):
        """Divides the run into periods.

        Args:
            steps: Training steps of an epoch, or None where nobody knows.
        """
        state, schedule = self.state, self.blueprint.schedule
        if state.settled:
            return
        more, whole = self._epochs
        if not state.period:
            state.parts = schedule.parts_of_an_epoch(whole or more, steps)
        # An epoch that was broken off is trained anew.
        state.period -= state.period % state.parts
        state.periods = state.parts * whole or (
            state.period + state.parts * more
        )
        validation.warn_if_nothing_is_measured(state, schedule)

    @backend.in_scope
    def attach_optimizer(self):
        """Starts to carry the state of the optimizer along, once built."""
        optimizer = self.others.optimizer
        if optimizer is None and self.model.compiled:
            optimizer = self.model.optimizer
        if optimizer is not None and optimizer.built:
            self.network.attach_optimizer(optimizer)

    @backend.in_scope
    def let_others_train(self, optimizer, outer=None):
        """Somebody else trains the model from now on.

        Args:
            optimizer: The `keras.optimizers.Optimizer` that does it. If it
                is not built, it is when it is handed the first gradients.
            outer: The Keras model whose `fit` that is, if any; its functions
                follow the network.

        Raises:
            ValueError: If it does not train all that the model has, or its
                state cannot follow a change of shape.
        """
        loop_validation.check_optimizer(self.model, self.network, optimizer)
        if optimizer.built:
            self.network.attach_optimizer(optimizer)
        else:
            self.network.one_trace.check_optimizer(optimizer)
        self.others.outer = outer
        if self.others.optimizer is not optimizer:
            # Functions that were traced before take no part in growing.
            self._others = self._sharing.find()
            self._renew_others()
        self.others.begin(optimizer)

    @backend.in_scope
    def begin_period(self):
        """Changes the network where it is time to, and starts the clock."""
        started = time.perf_counter()
        state, schedule = self.state, self.blueprint.schedule
        self._restructured = False
        # Later than planned, where the run became shorter or weights of an
        # earlier epoch were set.
        is_late = state.period >= schedule.settle_epoch(state.periods)
        if not state.settled and (
            is_late or schedule.restructures(state.period, state.periods)
        ):
            self._check_finite()
            if is_late:
                self.settle()
            else:
                self._decide()
        self.network.norms.start_period(
            keeps=self._restructured or not self.state.settled,
            forgets=self.state.period % self.state.parts == 0,
        )
        self.saved_moments = {}
        self._prepare_gates()
        self._may_differ = self._restructured or not self.state.settled
        self._clock.start(time.perf_counter() - started)

    def check_agreement(self):
        """Called before a step: ends the run, where workers differ.

        After a change, whoever has made it.
        """
        if self._may_differ:
            replicas = backend.replicas_of(self.model)
            used = [self.network.store.optimizer, self.model.gate_optimizer]
            check_agreement(replicas, self.model, self.state, used)
            self._may_differ = False

    def _decide(self):
        blueprint, state = self.blueprint, self.state.copy()
        fraction = blueprint.schedule.target(
            state.period, state.periods, blueprint.budget_fraction
        )
        state.units, state.gates = blueprint.rule.decide(
            state, blueprint.space, fraction * blueprint.cost.full
        )
        self._change(state)

    @backend.in_scope
    def settle(self):
        """Lands on the budget; the structure is final from now on."""
        if self.state.settled:
            return
        self._check_may_change()
        network, blueprint = self.network, self.blueprint
        state, folds = self.state.copy(), []
        network.gates.pull(state)
        if network.gates:
            # Soft factors go into the weights, which then stand alone. Where
            # no weight can take a factor in, it stays as a constant.
            network.gates.harden(state)
            folds = [f for f in network.plan.folds() if f[0].is_foldable()]
        state.units, state.gates = blueprint.rule.land(
            state, blueprint.space, blueprint.limit
        )
        state.settled = True
        self._change(state, folds=folds)

    def _prepare_gates(self):
        network, blueprint = self.network, self.blueprint
        if network.gates:
            cost = network.fractions()["cost"]
            network.gates.prepare_period(
                self.state, cost, blueprint.budget_fraction
            )
            network.plan.update_penalty(network.widths(), self.state.gates)

    def _check_finite(self):
        if self.state.loss_is_finite:
            return
        raise FloatingPointError(
            "The loss was not finite in the last epoch, so nothing was "
            "measured that a restructuring could rest on. The structure is "
            "left as it was. Lower the learning rate or clip the gradients, "
            "and go on from the last good checkpoint."
        )

    @backend.in_scope
    def end_training_steps(self):
        """Called before validation, or at the end of an epoch without it."""
        if self._clock.stop():
            self._average_over_replicas()
            self._clock.measure(lambda: self.network.norms.refresh(self.model))

    def _average_over_replicas(self):
        replicas = backend.replicas_of(self.model)
        self.network.norms.average_over_replicas(replicas)

    def end_epoch(self, logs):
        """Ends what is left of an epoch; returns entries for the logs."""
        self.end_training_steps()
        parts = self.state.parts
        self.end_period(logs, parts - self.state.period % parts)
        return self._entries()

    def pass_over_epoch(self):
        """Ends an epoch without a training step, as if it had not been.

        Returns:
            Entries for the logs.
        """
        self._clock.stop()
        validation.warn_without_steps(self.model)
        return self._entries()

    def _entries(self):
        return {
            **self.network.fractions(),
            "price": float(self.state.price),
            "settled": float(self.state.settled),
        }

    @backend.in_scope
    def end_period(self, logs, count=1):
        """Takes in what a period measured.

        Args:
            logs: Logs of the epoch so far.
            count: How many periods it was: more than one where nobody knew
                beforehand how many steps an epoch has.
        """
        if self._clock.stop():
            self._average_over_replicas()
        network, state = self.network, self.state
        loss = logs.get("loss")
        state.loss_is_finite = loss is None or bool(np.all(np.isfinite(loss)))
        measured = network.meter.read()
        if state.loss_is_finite and not state.settled:
            state.observe(measured["units"], measured["gates"])
        network.gates.pull(state)
        fractions = network.fractions()
        calls = measured["steps"] / self.model.steps_per_execution
        is_whole = (state.period + count) % state.parts == 0
        self.ledger.add(
            examples=measured["examples"],
            flops=fractions.get("flops", float("nan")),
            teacher_flops=self._teacher_flops(),
            epoch=state.period // state.parts,
            cost=fractions["cost"],
            params=fractions["params"],
            units=[int(width) for width in network.widths()],
            gates=[bool(gate) for gate in state.gates],
            target=self.target(),
            price=float(state.price),
            settled=bool(state.settled),
            metrics=_numbers(logs) if is_whole else {},
            **self._clock.seconds(calls),
        )
        self.ledger.traced_anew = dict(network.one_trace.reasons)
        structure = network.structure
        state.end_period(*self.blueprint.map.live(structure), count)
        network.meter.reset(measures=not state.settled)

    def target(self):
        """What the schedule allows now, a fraction of the full cost."""
        state, blueprint = self.state, self.blueprint
        if state.settled:
            return blueprint.budget_fraction
        return blueprint.schedule.target(
            state.period, max(state.periods, 1), blueprint.budget_fraction
        )

    def _teacher_flops(self):
        teacher = self.model.distillation
        listens = teacher is not None and self.is_fitting
        return teacher.flops if listens else 0.0

    # Changes

    @backend.in_scope
    def restructure(self, structure):
        """Sets a structure that the user chose."""
        structure = validation.checked_structure(structure, self.network)
        state = self.state.copy()
        state.units, state.gates = structure.units, structure.gates
        self._change(state)
        self._prepare_gates()
        self._may_differ = True

    @backend.in_scope
    def restore(self, state):
        """Gives the network the structure of a saved state, without values."""
        self.attach_optimizer()
        self._change(state, draws=False)

    def _change(self, state, draws=True, keep=False, folds=()):
        """Gives the network another state, whole or not at all.

        Args:
            state: The new `GrowthState`.
            draws: Whether newcomers are drawn, rather than loaded later.
            keep: Whether weights that there are count as drawn.
            folds: `(factor point, factors)` that weights have to take in.
        """
        network = self.network
        structure = Structure(state.units, state.gates)
        if structure != network.structure:
            self._check_may_change()
        self.attach_optimizer()
        new_gates = self._statistics_of_new(structure) if draws else {}
        random = state.random if draws else None
        with network.lock.alone(), Transaction() as transaction:
            for point, factors in folds:
                network.scale_weights(transaction, point, factors)
            change = Change(network, structure)
            change.prepare(random, new_gates, keep)
            if change.is_needed:
                change.commit(transaction)
                network.norms.restart(transaction)
            network.meter.start_anew(transaction, not state.settled)
            network.set_state(transaction, state)
            self.functions.follow(transaction, bool(network.one_trace))
        self._restructured = self._restructured or change.is_needed
        self._renew_others()

    def _statistics_of_new(self, structure):
        """Mean and variance of what goes into layers that come first now."""
        return self.shortcut_moments(structure.gates & ~self.state.gates)

    def shortcut_moments(self, gates):
        """Mean and variance of what goes into layers that never were there.

        They are measured on the examples kept, of which a file has none.

        Args:
            gates: Boolean array, which gated layers to look at.

        Returns:
            Maps indices of gates to a mean and a variance of each channel at
            full width, or to None.
        """
        network, identities = self.network, self.blueprint.identities
        new = [int(i) for i in np.flatnonzero(gates) if not network.has_been(i)]
        skips = [i for i in new if identities[i] is not None]
        tensors = [identities[i].shortcut for i in skips]
        found = {index: self.saved_moments.get(index) for index in new}
        measured = network.norms.of_tensors(self.model, tensors)
        active = np.append(network.structure.units, True)
        for index, moments in zip(skips, measured):
            if moments is not None:
                here = active[identities[index].units]
                found[index] = [_of_all(here, each) for each in moments]
        return found

    def _check_may_change(self):
        """Other models keep traces of the old layers; renew or refuse."""
        check_not_rewritten(self.model)
        validation.check_not_shared(self.model, self.blueprint.map)
        self._others = self._sharing.find()
        for other in self._others:
            if other.compiled and getattr(other.optimizer, "built", False):
                if other.optimizer is self.others.optimizer:
                    continue  # it follows
                raise ValueError(
                    f"Model `{other.name}` trains layers of model "
                    f"`{self.model.name}`, whose shapes are about to change; "
                    "its optimizer could not follow. Let the model grow there "
                    "(`callbacks=[kgp.callbacks.Grow(model)]` in the `fit` of "
                    f"`{other.name}`, or `model.begin_epoch` in a loop of "
                    "your own), train it after `settle()`, or train the "
                    "network that `compact()` returns."
                )

    _others = ()

    def _renew_others(self):
        for other in self._others:
            if other is self.others.outer:
                continue  # its functions follow
            other.train_function = None
            other.test_function = None
            other.predict_function = None
        self._others = ()


def _numbers(logs):
    """What of the logs is a single number."""
    return {k: float(v) for k, v in logs.items() if np.ndim(v) == 0}


def _of_all(present, values):
    """Values of all channels; those not present get the others' mean."""
    result = np.full(present.shape, np.mean(values))
    result[present] = values
    return result

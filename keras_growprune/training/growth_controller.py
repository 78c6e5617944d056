"""Runs the growing of one model: decides, restructures, keeps the books."""

import math
import numbers
import time

import numpy as np

from keras_growprune import keras_internals
from keras_growprune.cost import FlopsCost
from keras_growprune.cost import ParameterCost
from keras_growprune.growth import GrowthState
from keras_growprune.growth import UnitSpace
from keras_growprune.structure import Structure
from keras_growprune.structure import find_branch_points
from keras_growprune.structure import find_gate_points
from keras_growprune.structure import find_identity_branches
from keras_growprune.structure import find_recurrent_ends
from keras_growprune.structure import trace_channels
from keras_growprune.training import validation
from keras_growprune.training.call_plan import CallPlan
from keras_growprune.training.clock import Clock
from keras_growprune.training.host_store import HostStore
from keras_growprune.training.ledger import Ledger
from keras_growprune.training.norm_statistics import NormStatistics
from keras_growprune.training.restructurer import Restructurer
from keras_growprune.training.saliency_meter import SaliencyMeter
from keras_growprune.training.seed_network import seed_structure
from keras_growprune.training.trained_gates import TrainedGates


class GrowthController:
    """Everything about one model that grows, apart from Keras's own loop.

    Args:
        model: The `GrowPruneModel`, at its full width.
        budget: A `Budget`.
        schedule: A `GrowthSchedule` or None for the rule's own.
        rule: A `Rule`.
        width_multiple: Widths are multiples of this (`"auto"`: of the
            device's block), or the full width.
        seed: Integer, of all random numbers.
        keep_weights: Whether the seed network has weights of the model.
    """

    def __init__(
        self,
        model,
        budget,
        schedule,
        rule,
        width_multiple,
        seed,
        keep_weights=False,
    ):
        self.model = model
        self.budget = budget
        self.rule = rule
        calls = keras_internals.graph_calls(model)
        self.map = trace_channels(calls, model.outputs)
        validation.check_not_grown_elsewhere(model, self.map)
        # Time falls only where a whole block of the device goes.
        asked = 1 if width_multiple == "auto" else width_multiple
        multiple = math.lcm(int(asked), budget.block)
        validation.check_network(model, self.map, width_multiple, multiple)
        self.cost = budget.cost(self.map)
        self.limit = budget.limit(self.cost)
        self.flops = self._flops_or_none()
        self.params = ParameterCost(self.map)
        self.space = UnitSpace(
            sizes=self.map.sizes,
            multiples=self.map.multiples(multiple),
            gate_kinds=self._gate_kinds(),
            cost=self.cost,
            least=self.map.least_widths(),
        )
        validation.check_reachable(self.space, budget, self.limit, self.cost)
        self.schedule = schedule or rule.default_schedule(
            budget.measure, self.limit / self.cost.full
        )
        points = find_gate_points(self.map)
        branch_points = find_branch_points(self.map)
        self.state = GrowthState(
            np.ones(self.map.unit_count, bool),
            np.ones(len(self.map.gates), bool),
            seed,
        )
        self._sharing = keras_internals.LayerSharing(self.map.layers, model)
        self.store = HostStore(self.map)
        self._identities = find_identity_branches(self.map)
        self.restructurer = Restructurer(
            self.map,
            self.store,
            branch_points,
            self._identities,
            find_recurrent_ends(self.map),
        )
        self.meter = SaliencyMeter(self.map, points, branch_points)
        self.norms = NormStatistics(self.map.layers)
        self.ledger = Ledger(self.flops.full if self.flops else float("nan"))
        self.gates = TrainedGates(
            rule, self.map.unit_count, len(self.map.gates)
        )
        self.plan = CallPlan(
            self.map,
            points,
            branch_points,
            self.gates.unit_gate,
            self.gates.layer_gate,
        )
        self._clock = Clock()
        self._plant_seed(points if keep_weights else None)

    def _flops_or_none(self):
        if self.budget.measure == "flops":
            return self.cost
        try:
            return FlopsCost(self.map)
        except ValueError:  # inputs of unknown size, and nobody asked
            return None

    def _gate_kinds(self):
        """Gated layers on the same residual stream are of one kind."""
        streams = []
        for gate in self.map.gates:
            tensor = self.map.calls[gate.call].outputs[0]
            channels = self.map.channels.get(id(tensor))
            first = -1 if channels is None else int(channels.units[0])
            streams.append((first, tuple(tensor.shape[1:-1])))
        order = {stream: i for i, stream in enumerate(dict.fromkeys(streams))}
        return np.array([order[stream] for stream in streams], dtype=int)

    def _plant_seed(self, points):
        """Gives the network its first structure.

        Args:
            points: `GatePoint`s by whose weights units are chosen, which
                stay; or None for the first units, with fresh weights.
        """
        target = self.schedule.seed_fraction * self.cost.full
        seed = seed_structure(
            self.map,
            self.space,
            target,
            self.schedule.seed_shape,
            self._identities,
            points,
        )
        self.seed_widths = self.map.widths(seed.units)
        self.seed_gates = seed.gates
        self._set_structure(seed.units, seed.gates, keep=points is not None)
        self.rule.start(self.state, self.space, target)
        self.gates.push(self.state)

    # What the network is

    @property
    def structure(self):
        return self.restructurer.structure

    def widths(self):
        return self.map.widths(self.state.units)

    def fractions(self):
        """Cost, FLOPs and parameters as fractions of the full network's."""
        widths, gates = self.widths(), self.state.gates
        measures = {
            "cost": self.cost,
            "flops": self.flops,
            "params": self.params,
        }
        return {
            name: float(cost(widths, gates)) / cost.full
            for name, cost in measures.items()
            if cost is not None
        }

    # The life of a run

    def prepare_run(self, epochs, initial_epoch, growth_epochs):
        """Called by `fit` before anything else.

        Args:
            epochs, initial_epoch: As in `fit`.
            growth_epochs: Length of the whole run in epochs, or None.
        """
        if growth_epochs is not None and (
            isinstance(growth_epochs, bool)
            or not isinstance(growth_epochs, numbers.Integral)
            or growth_epochs < 1
        ):
            raise ValueError(
                "Argument `growth_epochs` must be a positive integer, the "
                "length of the whole run in epochs. Received: "
                f"growth_epochs={growth_epochs!r}"
            )
        self.attach_optimizer()
        if self.can_keep_examples():
            inputs, _ = keras_internals.graph_structure(self.model)
            self.norms.prepare_to_keep(inputs)
        if not self.state.settled:
            parts = self.schedule.periods_per_epoch
            # An epoch that was broken off is trained anew.
            self.state.period -= self.state.period % parts
            length = parts * max(epochs - initial_epoch, 0)
            whole = parts * int(growth_epochs or 0)
            self.state.periods = whole or self.state.period + length

    def attach_optimizer(self):
        """Starts to carry the state of a compiled, built optimizer along."""
        optimizer = self.model.optimizer if self.model.compiled else None
        if optimizer is not None and optimizer.built:
            self.store.attach(optimizer)

    def begin_period(self):
        """Restructures where it is time to, and starts the clock."""
        started = time.perf_counter()
        state = self.state
        self._restructured = False
        if not state.settled and self.schedule.restructures(
            state.period, state.periods
        ):
            self._check_finite()
            if state.period >= self.schedule.settle_epoch(state.periods):
                self.settle()
            else:
                units, gates = self.rule.decide(
                    state, self.space, self._target()
                )
                self._set_structure(units, gates)
        self.norms.start_period(keeps=self._restructured or not state.settled)
        self._prepare_gates()
        self._clock.start(time.perf_counter() - started)

    def _prepare_gates(self):
        if self.gates:
            cost, budget = self.fractions()["cost"], self.limit / self.cost.full
            self.gates.prepare_period(self.state, cost, budget)
            self.plan.update_penalty(
                self.space, self.widths(), self.state.gates
            )

    def _target(self):
        budget = self.limit / self.cost.full
        fraction = self.schedule.target(
            self.state.period, self.state.periods, budget
        )
        return fraction * self.cost.full

    def _check_finite(self):
        if self.state.loss_is_finite:
            return
        raise FloatingPointError(
            "The loss was not finite in the last epoch, so nothing was "
            "measured that a restructuring could rest on. The structure is "
            "left as it was. Lower the learning rate or clip the gradients, "
            "and go on from the last good checkpoint."
        )

    _restructured = False

    def settle(self):
        """Lands on the budget; the structure is final from now on."""
        state = self.state
        if state.settled:
            return
        self._check_may_change()
        self.gates.pull(self.state)
        if self.gates:
            self._harden_gates()
        units, gates = self.rule.land(state, self.space, self.limit)
        state.settled = True
        self.plan.harden(state.scales, state.gate_scales)
        self._set_structure(units, gates, force=bool(self.gates))

    def time_first_call(self, function, iterator):
        """Calls a training function for the first time, which traces it."""
        return self._clock.time_first_call(function, iterator)

    def can_keep_examples(self):
        """Whether training steps may keep examples for the norms' statistics.

        Not on several replicas, and not under XLA, which takes no variable of
        unknown size.
        """
        replicas = self.model.distribute_strategy.num_replicas_in_sync
        return not (self.model.jit_compile or replicas > 1)

    def end_training_steps(self):
        """Called before validation, or at the end of an epoch without it."""
        if not self._clock.stop():
            return
        self.norms.refresh(self.model)

    def end_epoch(self, logs):
        """Ends what is left of an epoch; returns entries for the logs."""
        self.end_training_steps()
        parts = self.schedule.periods_per_epoch
        self.end_period(logs, parts - self.state.period % parts)
        return {
            **self.fractions(),
            "price": float(self.state.price),
            "settled": float(self.state.settled),
        }

    def end_period(self, logs, count=1):
        """Takes in what a period measured.

        Args:
            logs: Logs of the epoch so far.
            count: How many periods it was: more than one where nobody knew
                beforehand how many steps an epoch has.
        """
        self._clock.stop()
        loss = logs.get("loss")
        self.state.loss_is_finite = loss is None or bool(
            np.all(np.isfinite(loss))
        )
        measured = self.meter.read()
        if self.state.loss_is_finite and not self.state.settled:
            self.state.observe(measured["units"], measured["gates"])
        self.gates.pull(self.state)
        fractions = self.fractions()
        calls = measured["steps"] / self.model.steps_per_execution
        seconds = self._clock.seconds(calls)
        self.ledger.add(
            examples=measured["examples"],
            flops=fractions.get("flops", float("nan")),
            epoch=self.state.period // self.schedule.periods_per_epoch,
            cost=fractions["cost"],
            params=fractions["params"],
            units=[int(width) for width in self.widths()],
            gates=[bool(gate) for gate in self.state.gates],
            **seconds,
        )
        self.state.end_period(*self.map.live(self.structure), count)
        self.meter.reset(None if self.state.settled else self.structure)

    # Restructuring

    def restructure(self, structure):
        """Sets a structure that the user chose."""
        ours = self.structure
        if (
            structure.units.shape != ours.units.shape
            or structure.gates.shape != ours.gates.shape
        ):
            raise ValueError(
                "Argument `structure` must have the shapes of "
                f"`model.structure`: {ours.units.shape} and "
                f"{ours.gates.shape}. Received: {structure.units.shape} and "
                f"{structure.gates.shape}"
            )
        for group, width in zip(
            self.map.groups, self.map.widths(structure.units)
        ):
            if not width:
                raise ValueError(
                    "Each group must keep at least one unit. Received a "
                    f"structure without any unit of layer `{group.name}`."
                )
        self._set_structure(structure.units, structure.gates)
        self._prepare_gates()

    def _set_structure(self, units, gates, force=False, keep=False):
        state = self.state
        structure = Structure(units, gates)
        if structure != self.structure:
            self._check_may_change()
        self.attach_optimizer()
        never = state.gate_ages == 0
        new = self._statistics_of_new(structure.gates & ~state.gates & never)
        changed = structure != self.structure
        stale = self.restructurer.apply(structure, state.random, new, keep)
        stale = stale or force
        state.units, state.gates = structure.units, structure.gates
        self.meter.reset(None if state.settled else structure)
        self.plan.update(structure)
        if changed:
            self._restructured = True
            self.norms.restart()
            # Soft gates have the numbers of their units in the traces.
            stale = stale or self.plan.gates_are_soft
        if stale:
            self._renew_functions()

    def _statistics_of_new(self, new):
        """Mean and variance of what goes into layers that come first now."""
        new = [int(index) for index in np.flatnonzero(new)]
        skips = [i for i in new if self._identities[i] is not None]
        tensors = [self._identities[i].shortcut for i in skips]
        found = dict.fromkeys(new)
        measured = self.norms.of_tensors(self.model, tensors)
        active = np.append(self.structure.units, True)
        for index, moments in zip(skips, measured):
            if moments is not None:
                here = active[self._identities[index].units]
                found[index] = [_of_all(here, each) for each in moments]
        return found

    def _check_may_change(self):
        """Other models keep traces of the old shapes; renew or refuse."""
        validation.check_not_shared(self.model, self.map)
        self._others = self._sharing.find()
        for other in self._others:
            if other.compiled and getattr(other.optimizer, "built", False):
                raise ValueError(
                    f"Model `{other.name}` trains layers of model "
                    f"`{self.model.name}`, whose shapes are about to change; "
                    "its optimizer could not follow. Train it after "
                    "`settle()`, or on the network that `compact()` returns."
                )

    _others = ()

    def _renew_functions(self):
        for other in self._others:
            other.train_function = None
            other.test_function = None
            other.predict_function = None
        self._others = ()
        self.model.renew_functions()

    def _harden_gates(self):
        """Folds soft factors into the weights, which then stand alone.

        Where no weight can take a factor in, it stays as a constant.
        """
        state = self.state
        for gate, name in (
            (self.gates.unit_gate, "scales"),
            (self.gates.layer_gate, "gate_scales"),
        ):
            if gate is not None:
                setattr(state, name, np.array(gate.presence(), dtype=float))
        self.restructurer.scale_weights(
            [fold for fold in self.plan.folds() if fold[0].is_foldable()]
        )

    # Saving

    def to_arrays(self):
        """Everything that growing remembers, as a dict of NumPy arrays."""
        self.gates.pull(self.state)
        return {
            **{f"state.{k}": v for k, v in self.state.to_arrays().items()},
            **self.store.to_arrays(),
            **self.meter.to_arrays(),
            **self.norms.to_arrays(),
            **self.ledger.to_arrays(),
        }

    def from_arrays(self, arrays):
        """Takes over what `to_arrays` returned; weights are loaded later."""
        arrays = {key: np.array(arrays[key]) for key in arrays.keys()}
        prefix = "state."
        state = GrowthState.from_arrays(
            {
                key[len(prefix) :]: value
                for key, value in arrays.items()
                if key.startswith(prefix)
            }
        )
        expected = (self.state.units.shape, self.state.gates.shape)
        if (state.units.shape, state.gates.shape) != expected:
            raise ValueError(
                "The saved network has other growable layers than this one. "
                f"Expected: {expected[0][0]} units and {expected[1][0]} gated "
                f"layers. Received: {len(state.units)} and {len(state.gates)}."
            )
        self.attach_optimizer()
        structure = Structure(state.units, state.gates)
        stale = self.restructurer.apply(structure)
        self.store.from_arrays(arrays)
        self.state = state
        self.meter.reset(None if state.settled else structure)
        self.meter.from_arrays(arrays)
        self.norms.from_arrays(arrays)
        self.ledger.from_arrays(arrays)
        if state.settled:
            self.plan.harden(state.scales, state.gate_scales)
        else:
            self.plan.gates_are_soft = bool(self.gates)
        self.plan.update(structure)
        self.gates.push(self.state)
        if stale:
            self._renew_functions()


def _of_all(present, values):
    """Values of all channels; those not present get the others' mean."""
    result = np.full(present.shape, np.mean(values))
    result[present] = values
    return result

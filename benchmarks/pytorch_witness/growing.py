"""Lets the library's rules change a network while it trains."""

import numpy as np

from pytorch_witness.library import GrowthState
from pytorch_witness.library import UnitSpace
from pytorch_witness.library import saliency
from pytorch_witness.training import SoftGates


class Growing:
    """A network that a rule changes, as a `GrowPruneModel` does it.

    Args:
        training: The `Training`.
        rule: The rule.
        schedule: The `GrowthSchedule`.
        cost: What the budget bounds, a cost of the network.
        limit: The budget, in the unit of `cost`.
        epochs: Length of the run.
        seed: Seed of what the rule draws.

    Attributes:
        state: The `GrowthState`.
    """

    def __init__(self, training, rule, schedule, cost, limit, epochs, seed):
        network = training.network
        self._training, self._network = training, network
        self._rule, self._schedule = rule, schedule
        self._cost, self._limit = cost, limit
        self.space = space_of(network, cost)
        gates = network.all_gates()
        seed_cost = schedule.seed_fraction * cost.full
        widths = self.space.seed_widths(seed_cost, gates)
        self.state = GrowthState(network.units(widths), gates, seed)
        self.state.parts = schedule.parts_of_an_epoch(epochs, training.steps)
        self.state.periods = self.state.parts * epochs
        rule.start(self.state, self.space, seed_cost)
        if rule.trains_logits:
            state = self.state
            logits = np.append(state.logits, state.gate_logits)
            training.soft = SoftGates(logits, training.store.device)
        training.measures = True
        training.set_structure(self.state.units, gates)

    def begin_period(self):
        """Changes the structure where it is time to."""
        state, schedule = self.state, self._schedule
        if not state.settled and schedule.restructures(
            state.period, state.periods
        ):
            if state.period >= schedule.settle_epoch(state.periods):
                self._settle()
            else:
                fraction = schedule.target(
                    state.period,
                    state.periods,
                    self._limit / self._cost.full,
                )
                structure = self._rule.decide(
                    state, self.space, fraction * self._cost.full
                )
                self._change(*structure)
        self._training.reset_sums()
        self._prepare_gates()

    def _settle(self):
        state, training = self.state, self._training
        if training.soft is not None:
            self._fold()
        structure = self._rule.land(state, self.space, self._limit)
        state.settled, training.measures, training.soft = True, False, None
        self._change(*structure)
        # Also where the structure stays, the step is another one now.
        training.write_back()
        training.reload()

    def _fold(self):
        """Moves the soft factors into the weights, which then stand alone."""
        training, state = self._training, self.state
        presence = training.soft.presence().detach().cpu().numpy()
        units, gates = np.split(presence, [len(state.units)])
        training.write_back()
        training.store.fold(
            np.where(state.units, units, 1.0), gates, state.gates
        )
        training.reload()

    def _change(self, units, gates):
        state, training = self.state, self._training
        is_same = np.array_equal(units, state.units)
        if is_same and np.array_equal(gates, state.gates):
            return
        new = gates & ~state.gates & (state.gate_ages == 0)
        training.write_back()
        for gate in np.flatnonzero(new):
            training.store.silence(gate)
        state.units, state.gates = units, gates
        training.compact = None  # it is in the store
        training.set_structure(units, gates)

    def _prepare_gates(self):
        """Sets temperatures and penalties, as `TrainedGates` does."""
        soft, state = self._training.soft, self.state
        if soft is None:
            return
        rule, space = self._rule, self.space
        widths = space.widths(state.units)
        now = float(space.cost(widths, state.gates))
        full = self._cost.full
        of_units = space.unit_costs(widths, state.gates)[space.unit_groups()]
        others = np.tile(state.gates, (len(state.gates), 1))
        np.fill_diagonal(others, ~state.gates)
        of_gates = np.abs(
            now - np.array([float(space.cost(widths, x)) for x in others])
        )
        fractions = now / full, self._limit / full
        penalties = [
            penalty(*fractions) * costs / max(np.mean(costs), 1e-30)
            for penalty, costs in (
                (rule.penalty, of_units),
                (rule.gate_penalty, of_gates),
            )
            if len(costs)
        ]
        temperatures = [
            rule.temperatures(ages, state.periods)
            for ages in (state.ages, state.gate_ages)
        ]
        state.price = float(rule.penalty(*fractions))
        for tensor, values in (
            (soft.penalties, penalties),
            (soft.temperatures, temperatures),
        ):
            values = np.concatenate(values).astype("float32")
            tensor.copy_(tensor.new_tensor(values))

    def end_period(self, steps):
        """Takes in what a period of so many steps measured."""
        state, training = self.state, self._training
        network = self._network
        live = network.live_units(state.units, state.gates)
        if not state.settled:
            state.observe(
                *(
                    np.where(
                        there,
                        saliency(*sums, steps, training.batch_size),
                        np.nan,
                    )
                    for there, sums in zip((live, state.gates), training.sums())
                )
            )
        if training.soft is not None:
            logits = training.soft.logits.detach().cpu().numpy()
            state.logits, state.gate_logits = np.split(
                logits.astype(float), [len(state.units)]
            )
        state.end_period(live, state.gates.copy())


def space_of(network, cost):
    """The `UnitSpace` of a network; widths are free."""
    sizes = np.array(network.sizes)
    return UnitSpace(
        sizes,
        np.ones_like(sizes),
        np.array(network.gate_kinds, dtype=int),
        cost,
    )

"""What is known of a growing network before it trains, and never changes."""

import math

import numpy as np

from keras_growprune import keras_internals
from keras_growprune.cost import FlopsCost
from keras_growprune.cost import ParameterCost
from keras_growprune.growth import UnitSpace
from keras_growprune.structure import CouplingReport
from keras_growprune.structure import find_branch_points
from keras_growprune.structure import find_factor_points
from keras_growprune.structure import find_identity_branches
from keras_growprune.structure import find_recurrent_ends
from keras_growprune.structure import trace_channels
from keras_growprune.training import validation


class Blueprint:
    """The full network, what it may become, and what that costs.

    Args:
        model: The `GrowPruneModel`, at its full width.
        budget: A `Budget`.
        schedule: A `GrowthSchedule` or None for the rule's own.
        rule: A `Rule`.
        width_multiple: Widths are multiples of this (`"auto"`: of the
            device's block), or the full width.

    Attributes:
        map: The `ChannelMap`.
        report: The `CouplingReport`.
        budget, schedule, rule: What decides on the structure.
        cost, flops, params: Costs of a structure: in the budget's measure,
            multiply-adds (None where inputs have no known size), parameters.
        limit: The budget, in units of `cost`.
        space: The `UnitSpace`.
        points: `FactorPoint`s of the groups.
        branch_points: One `FactorPoint` per gate, the end of its branch.
        identities: One `IdentityBranch` or None per gate.
        recurrent_ends: One list per gate, the recurrent layers that its
            branch ends with.

    Raises:
        ValueError: If there is nothing to grow, or the budget cannot be met.
    """

    def __init__(self, model, budget, schedule, rule, width_multiple):
        self.budget = budget
        self.rule = rule
        calls = keras_internals.graph_calls(model)
        self.map = trace_channels(calls, model.outputs)
        self.report = CouplingReport(self.map)
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
            budget.measure, self.budget_fraction
        )
        self.points = find_factor_points(self.map)
        self.branch_points = find_branch_points(self.map)
        self.identities = find_identity_branches(self.map)
        self.recurrent_ends = find_recurrent_ends(self.map)

    @property
    def budget_fraction(self):
        """The budget as a fraction of the full network's cost."""
        return self.limit / self.cost.full

    def fractions(self, widths, gates):
        """Cost, FLOPs and parameters as fractions of the full network's."""
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

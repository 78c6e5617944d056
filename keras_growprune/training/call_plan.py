"""Which calls of the graph are made, and what acts on their outputs."""

import contextlib

import numpy as np
from keras import ops


class CallPlan:
    """The graph of the present structure, with gates where they act.

    Attributes:
        steps: What `keras_internals.LazyFunctional` runs: `(call, alias,
            after)`.
        gates_are_soft: Whether units are multiplied by their relaxed presence
            (the paper's rule, while growing).

    Args:
        channel_map: A `ChannelMap`.
        points: `GatePoint`s of the groups.
        branch_points: One `GatePoint` per gate.
        unit_gate: `StructureGate` of all units, or None.
        layer_gate: `StructureGate` of all gated layers, or None.
    """

    def __init__(
        self, channel_map, points, branch_points, unit_gate, layer_gate
    ):
        self._map = channel_map
        self._points = points
        self._branch_points = branch_points
        self._unit_gate = unit_gate
        self._layer_gate = layer_gate
        self._factors = {}
        self._penalty_costs = None
        self.gates_are_soft = unit_gate is not None or layer_gate is not None
        self.steps = []
        self._structure = None
        for point in points:
            if point.kind == "layer":
                point.layer.gate = self._hook(point)
        for index, gate in enumerate(channel_map.gates):
            gate.layer.gate = self._branch_hook(index)

    def update(self, structure):
        """Plans the calls of a structure."""
        self._structure = structure
        self._active = np.append(structure.units, True)
        self._present = self._map.present_layers(structure.gates)
        after = {
            id(point.layer): self._hook(point)
            for point in self._points
            if point.kind == "norm"
        }
        self.steps = []
        for index in self._map.needed_calls(structure.gates):
            call = self._map.calls[index]
            off = self._map.gate_is_off(index, structure.gates)
            alias = call.inputs[0] if off else None
            self.steps.append((call, alias, after.get(id(call.operation))))

    @contextlib.contextmanager
    def explicit_factors(self, points, factors):
        """Multiplies the outputs at some gate points by given factors."""
        self._factors = {id(p): f for p, f in zip(points, factors)}
        try:
            yield
        finally:
            self._factors = {}

    def _hook(self, point):
        def gate(outputs):
            factor = self._factors.get(id(point))
            if factor is not None:
                outputs = _scale(outputs, factor, point.axis)
            if self.gates_are_soft and self._unit_gate is not None:
                entries = point.units[self._active[point.units]]
                presence = self._unit_gate.presence()
                presence = ops.concatenate([presence, ops.ones(1)])
                factor = ops.take(presence, entries, axis=0)
                outputs = _scale(outputs, factor, point.axis)
            return outputs

        return gate

    def _branch_hook(self, index):
        point = self._branch_points[index]

        def gate(branch):
            if point.kind == "branch":
                factor = self._factors.get(id(point))
                if factor is not None:
                    branch = _scale(branch, factor, point.axis)
            if self.gates_are_soft and self._layer_gate is not None:
                factor = self._layer_gate.presence()[index : index + 1]
                branch = _scale(branch, factor, point.axis)
            return branch

        return gate

    def folds(self):
        """Soft factors of the present structure, to be folded into weights.

        Returns:
            List of `(gate point, factors)`, one factor per channel in the
            network (a single one where the point is a branch).
        """
        result = []
        if not self.gates_are_soft:
            return result
        if self._unit_gate is not None:
            presence = np.append(np.array(self._unit_gate.presence()), 1.0)
            for point in self._points:
                if self._present[self._map.layer_index(point.layer)]:
                    entries = point.units[self._active[point.units]]
                    result.append((point, presence[entries]))
        if self._layer_gate is not None:
            presence = np.array(self._layer_gate.presence())
            for index in np.flatnonzero(self._structure.gates):
                point = self._branch_points[index]
                count = np.count_nonzero(self._active[point.units])
                count = 1 if point.kind == "branch" else count
                result.append((point, np.full(count, presence[index])))
        return result

    def update_penalty(self, space, widths, gates):
        """Costs of units and layers, for the penalty on their presence."""
        full = float(space.cost(space.sizes, np.ones_like(gates)))
        units = space.unit_costs(widths, gates)[space.unit_groups()]
        now = float(space.cost(widths, gates))
        layers = []
        for index in range(len(gates)):
            other = gates.copy()
            other[index] = not other[index]
            layers.append(abs(now - float(space.cost(widths, other))))
        self._penalty_costs = (units / full, np.array(layers) / full)

    def expected_cost(self):
        """`sum(cost * presence)` over units and layers, a scalar tensor."""
        total = ops.zeros(())
        gates = (self._unit_gate, self._layer_gate)
        for gate, costs in zip(gates, self._penalty_costs):
            if gate is not None:
                costs = ops.convert_to_tensor(costs.astype("float32"))
                total = total + ops.sum(costs * gate.presence())
        return total


def _scale(outputs, factor, axis):
    shape = [1] * len(outputs.shape)
    shape[axis] = factor.shape[0]
    factor = ops.reshape(ops.cast(factor, outputs.dtype), shape)
    return ops.multiply(outputs, factor)

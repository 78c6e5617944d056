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
        self._scales = np.ones(channel_map.unit_count + 1)
        self._gate_scales = np.ones(len(channel_map.gates))
        self.steps = []
        self._structure = None
        for point in points:
            if point.kind == "layer":
                point.layer.gate = self._hook(point)
            elif point.kind == "recurrence":
                point.layer.recurrent_gate = self._hook(point)
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
            self.steps.append((call, alias, after.get(id(call.layer))))

    @contextlib.contextmanager
    def explicit_factors(self, points, factors):
        """Multiplies the outputs at some gate points by given factors."""
        self._factors = {id(p): f for p, f in zip(points, factors)}
        try:
            yield
        finally:
            self._factors = {}

    def harden(self, scales, gate_scales):
        """Ends the softness of gates.

        Args:
            scales: Array `(units,)`: factors that stay on the outputs where
                no weight could take them in.
            gate_scales: Array `(gates,)`, likewise.
        """
        self.gates_are_soft = False
        self._scales = np.append(scales, 1.0)
        self._gate_scales = np.array(gate_scales)

    def _hook(self, point):
        def gate(outputs, axis=point.axis):
            for factor in (
                self._factors.get(id(point)),
                self._unit_factor(point),
            ):
                if factor is not None:
                    outputs = _scale(outputs, factor, axis)
            return outputs

        return gate

    def _branch_hook(self, index):
        point = self._branch_points[index]
        is_explicit = point.kind == "branch"

        def gate(branch):
            for factor in (
                self._factors.get(id(point)) if is_explicit else None,
                self._layer_factor(index),
            ):
                if factor is not None:
                    branch = _scale(branch, factor, point.axis)
            return branch

        return gate

    def _entries(self, point):
        return point.units[self._active[point.units]]

    def _unit_factor(self, point):
        """Factor of each channel at a gate point now, or None if all are 1."""
        if not self.gates_are_soft:
            scales = self._scales[self._entries(point)]
            if point.is_foldable() or np.all(scales == 1):
                return None
            return ops.convert_to_tensor(scales.astype("float32"))
        if self._unit_gate is None:
            return None
        presence = self._unit_gate.presence()
        presence = ops.concatenate([presence, ops.ones(1)])
        return ops.take(presence, self._entries(point), axis=0)

    def _layer_factor(self, index):
        if not self.gates_are_soft:
            scale = self._gate_scales[index]
            if self._branch_points[index].is_foldable() or scale == 1:
                return None
            return ops.convert_to_tensor(np.array([scale], "float32"))
        if self._layer_gate is None:
            return None
        return self._layer_gate.presence()[index : index + 1]

    def folds(self):
        """Factors of the present structure that weights have to take in.

        Returns:
            List of `(gate point, factors)`, one factor per channel in the
            network (a single one where the point is a branch).
        """
        result = []
        for point in self._points:
            if self._present[self._map.layer_index(point.layer)]:
                factor = self._unit_factor(point)
                if factor is not None:
                    result.append((point, np.array(factor)))
        for index in np.flatnonzero(self._structure.gates):
            point = self._branch_points[index]
            factor = self._layer_factor(index)
            is_present = self._present[self._map.layer_index(point.layer)]
            if factor is not None and is_present:
                count = (
                    1 if point.kind == "branch" else len(self._entries(point))
                )
                result.append((point, np.full(count, np.array(factor)[0])))
        return result

    def update_penalty(self, space, widths, gates):
        """Costs of units and layers, for the penalty on their presence.

        Relative to their means, so that a rule's strength means the same in
        networks of few and of many units.
        """
        units = space.unit_costs(widths, gates)[space.unit_groups()]
        now = float(space.cost(widths, gates))
        layers = []
        for index in range(len(gates)):
            other = gates.copy()
            other[index] = not other[index]
            layers.append(abs(now - float(space.cost(widths, other))))
        self._penalty_costs = [
            np.array(costs) / max(np.sum(costs) / max(len(costs), 1), 1e-30)
            for costs in (units, layers)
        ]

    def penalty(self, lambdas):
        """`lambda * sum(cost * presence)` of units and of layers, together.

        Args:
            lambdas: Tensor of shape `(2,)`, for units and for layers.
        """
        total = ops.zeros(())
        gates = (self._unit_gate, self._layer_gate)
        for index, gate in enumerate(gates):
            if gate is not None:
                costs = self._penalty_costs[index].astype("float32")
                expected = ops.sum(costs * gate.presence())
                total = total + lambdas[index] * expected
        return total


def _scale(outputs, factor, axis):
    shape = [1] * len(outputs.shape)
    shape[axis] = factor.shape[0]
    factor = ops.reshape(ops.cast(factor, outputs.dtype), shape)
    return ops.multiply(outputs, factor)

"""Which calls of the graph are made, and what acts on their outputs."""

import contextlib
import threading

import keras
import numpy as np
from keras import ops

from keras_growprune import backend
from keras_growprune.layers.factors import acting


class CallPlan:
    """The graph of the present structure, with factors where they act.

    Args:
        network: The `GrowingNetwork`.
        gates: Its `TrainedGates`.
    """

    def __init__(self, network, gates):
        self._network = network
        self._blueprint = network.blueprint
        self._map = network.blueprint.map
        self._gates = gates
        self._steps = {}
        self._entries = {}
        self._explicit = threading.local()
        self._costs = [
            gate
            and keras.Variable(
                np.zeros(size, "float32"), trainable=False, name="costs"
            )
            for gate, size in (
                (gates.unit_gate, self._map.unit_count),
                (gates.layer_gate, len(self._map.gates)),
            )
        ]
        points = network.blueprint.points
        self._norms = {id(p.layer): p for p in points if p.kind == "norm"}
        self._layers = {
            id(p.layer): p
            for p in points
            if p.kind in ("layer", "recurrence") and not _has_cell(p)
        }
        for point in points:
            if _has_cell(point):
                self._layers[id(point.layer.cell)] = point
                if point.kind == "layer":
                    self._layers[id(point.layer)] = point
        for point in points:
            if gates or not point.weights_suffice():
                self._vector_of(point)
        self._branches = {
            id(gate.layer): index for index, gate in enumerate(self._map.gates)
        }

    @property
    def gates_are_soft(self):
        """Whether units are multiplied by their relaxed presence.

        (The paper's rule, while growing.)
        """
        return bool(self._gates) and not self._network.state.settled

    @property
    def steps(self):
        """What `keras_internals.LazyFunctional` runs at present.

        A list of `(call, alias, after)`.
        """
        gates = self._network.structure.gates
        key = gates.tobytes()
        if key not in self._steps:
            self._steps[key] = [
                self._step(index, gates)
                for index in self._map.needed_calls(gates)
            ]
        return self._steps[key]

    def _step(self, index, gates):
        call = self._network.constants.put_into(self._map.calls[index])
        off = self._map.gate_is_off(index, gates)
        point = self._norms.get(id(call.layer))
        shapes = [
            self._network.one_trace.shape_while_tracing(tensor)
            for tensor in call.outputs
        ]

        def after(outputs):
            factor = None if point is None else self._factor_at(point)
            if factor is not None:
                outputs = factor(outputs)
            for value, shape in zip(keras.tree.flatten(outputs), shapes):
                backend.refine_shape(value, shape)
            return outputs

        return call, call.inputs[0] if off else None, after

    @contextlib.contextmanager
    def running(self):
        """Inside, in this thread, layers have the factors of this network.

        And it does not change.
        """
        # Several replicas run in threads that wait for each other: whoever
        # runs them has the lock, and none of them may wait for anybody else.
        has_lock = backend.replica_count() > 1
        lock = self._network.lock.shared
        with (
            contextlib.nullcontext() if has_lock else lock(),
            acting(self._factor_on),
        ):
            yield

    def checked(self, inputs):
        """Inputs of somebody who traces the network from outside.

        That trace serves all widths, but not other layers, nor gates that are
        hard by now: it fails then.
        """
        network, checks = self._network, []
        if self._map.gates:
            gates = network.structure.gates.astype("int32")
            checks.append(ops.all(ops.equal(network.gates_on.value(), gates)))
        if self._gates:
            measures = ops.convert_to_tensor(network.meter.measures)
            checks.append(ops.equal(measures, self.gates_are_soft))
        if not checks:
            return inputs
        message = (
            "Layers have left the network or come back, or it was settled, "
            f"since this function was traced over model `{network.name}`. "
            "Trace it anew; `step = model.traced(step)`, in the place of "
            "`tf.function`, makes a function that is traced anew where that "
            "is needed."
        )
        return backend.check_while_running(ops.all(checks), message, inputs)

    @contextlib.contextmanager
    def explicit_factors(self, points, factors):
        """Multiplies the outputs at some factor points by given factors.

        Or by what has the effect of one: a function `(outputs, axis)`.
        """
        self._explicit.factors = {id(p): f for p, f in zip(points, factors)}
        try:
            yield
        finally:
            self._explicit.factors = {}

    def ones(self, point):
        """A factor of one for each channel of a factor point at present."""
        if point.kind == "branch":
            return ops.ones(1, dtype="float32")
        return ops.ones_like(self.units_at(point), dtype="float32")

    def set_entries(self, structure):
        """Tells traced functions which units a structure has."""
        for point, vector in self._entries.values():
            vector.assign(_active_units(point, structure))

    def units_at(self, point):
        """Units behind the channels at a factor point, a vector."""
        return self._vector_of(point).value()

    def _vector_of(self, point):
        if id(point) not in self._entries:
            vector = backend.IndexVector.outside_of_traces("units_of_factor")
            vector.assign(_active_units(point, self._network.structure))
            self._entries[id(point)] = point, vector
        return self._entries[id(point)][1]

    def _factor_on(self, layer):
        """What `layers.factors.acting` takes."""
        if id(layer) in self._branches:
            return self._factor_at_branch(self._branches[id(layer)])
        point = self._layers.get(id(layer))
        return None if point is None else self._factor_at(point)

    def _factor_at(self, point):
        return _multiplication(
            [self._explicit_at(point), self._unit_factor(point)], point.axis
        )

    def _factor_at_branch(self, index):
        point = self._blueprint.branch_points[index]
        explicit = None
        if point.kind == "branch":
            explicit = self._explicit_at(point)
        return _multiplication(
            [explicit, self._layer_factor(index)], point.axis
        )

    def _explicit_at(self, point):
        return getattr(self._explicit, "factors", {}).get(id(point))

    def _unit_factor(self, point):
        """Factor of each channel at a factor point, or None if all are 1."""
        if self.gates_are_soft:
            if self._gates.unit_gate is None:
                return None
            factors = self._gates.unit_gate.presence()
            factors = ops.concatenate([factors, ops.ones(1, dtype="float32")])
        elif point.is_foldable():
            return None
        else:
            scales = np.append(self._network.state.scales, 1.0)
            if np.all(scales[point.units] == 1):
                return None
            factors = ops.convert_to_tensor(scales.astype("float32"))
        return ops.take(factors, self.units_at(point), axis=0)

    def _layer_factor(self, index):
        if self.gates_are_soft:
            if self._gates.layer_gate is None:
                return None
            return self._gates.layer_gate.presence()[index : index + 1]
        scale = self._network.state.gate_scales[index]
        if self._blueprint.branch_points[index].is_foldable() or scale == 1:
            return None
        return ops.convert_to_tensor(np.array([scale], "float32"))

    def folds(self):
        """Factors of the present structure that weights have to take in.

        Returns:
            List of `(factor point, factors)`, one factor per channel in the
            network (a single one where the point is a branch).
        """
        network, result = self._network, []
        for point in self._blueprint.points:
            if network.is_present(point.layer):
                factor = self._unit_factor(point)
                if factor is not None:
                    result.append((point, np.array(factor)))
        for index in np.flatnonzero(network.structure.gates):
            point = self._blueprint.branch_points[index]
            factor = self._layer_factor(index)
            if factor is not None and network.is_present(point.layer):
                count = len(_active_units(point, network.structure))
                count = 1 if point.kind == "branch" else count
                result.append((point, np.full(count, np.array(factor)[0])))
        return result

    def update_penalty(self, widths, gates):
        """Sets the costs of units and layers, for the penalty on presence.

        Relative to their means, so that a rule's strength means the same in
        networks of few and of many units.
        """
        space = self._blueprint.space
        units = space.unit_costs(widths, gates)[space.unit_groups()]
        now = float(space.cost(widths, gates))
        layers = []
        for index in range(len(gates)):
            other = gates.copy()
            other[index] = not other[index]
            layers.append(abs(now - float(space.cost(widths, other))))
        for variable, costs in zip(self._costs, (units, layers)):
            if variable is not None:
                costs = np.array(costs)
                variable.assign(costs / max(np.mean(costs), 1e-30))

    def penalty(self, lambdas):
        """`lambda * sum(cost * presence)` of units and of layers, together.

        Args:
            lambdas: Tensor of shape `(2,)`, for units and for layers.
        """
        total = ops.zeros((), dtype="float32")
        gates = (self._gates.unit_gate, self._gates.layer_gate)
        for index, gate in enumerate(gates):
            if gate is not None:
                expected = ops.sum(self._costs[index] * gate.presence())
                total = total + lambdas[index] * expected
        return total


def _has_cell(point):
    return point.kind != "norm" and hasattr(point.layer, "cell")


def _active_units(point, structure):
    return point.units[np.append(structure.units, True)[point.units]]


def _multiplication(factors, axis):
    """A function that multiplies outputs by some factors, or None."""
    factors = [factor for factor in factors if factor is not None]
    if not factors:
        return None

    def multiply(outputs, axis=axis):
        shape = [1] * len(outputs.shape)
        shape[axis] = -1
        for factor in factors:
            if callable(factor):
                outputs = factor(outputs, axis)
                continue
            factor = ops.reshape(ops.cast(factor, outputs.dtype), shape)
            outputs = ops.multiply(outputs, factor)
        return outputs

    return multiply

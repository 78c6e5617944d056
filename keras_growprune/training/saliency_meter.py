"""Reads the saliency of units from the gradients of training steps."""

import keras
import numpy as np
from keras import ops

from keras_growprune import backend
from keras_growprune.growth.saliency import saliency
from keras_growprune.training.other_trainers.seen_penalties import penalty_of


class SaliencyMeter:
    """Sums, on the device, what the saliencies of one period are made of.

    For a unit with the factor `m` on its output, `m dL/dm` at `m = 1` equals
    `gamma dL/dgamma + beta dL/dbeta` of the norm that follows it, or the same
    of kernel and bias where no norm follows. So the factor need not exist.

    Where it has to, since no weight scales the output, the backward pass is
    looked at as it passes by (`factors_seen_backwards`), or whoever has the
    tape gives the gradient by a factor that does exist.

    Which unit is behind which channel is told by a vector on the device: one
    trace serves all structures with the same layers.

    Args:
        network: The `GrowingNetwork`.

    Attributes:
        measures: Variable on the device, whether steps measure, or only count.
    """

    def __init__(self, network):
        self._network = network
        self._map = network.blueprint.map
        self._points = network.blueprint.points
        self._branch_points = network.blueprint.branch_points
        self._units = self._map.unit_count
        # The last sum is that of channels that always exist: nobody asks.
        size = self._units + len(self._map.gates) + 1
        self._counts = _zeros((3,), "step_counts")
        self._sums = _zeros((2, size), "saliency_sums")
        self.measures = keras.Variable(
            False, trainable=False, dtype="bool", name="measures"
        )
        # What was seen of the backward pass of the step that is running.
        self._seen = _zeros((size,), "seen_backwards")
        self._points_seen = set()
        self._positions = backend.IndexVector("units_of_parts")
        self._unmeasured = {}

    def reset(self, measures):
        """Starts anew.

        Args:
            measures: Whether steps measure, or only count.
        """
        self._counts.assign(np.zeros(3, "float32"))
        self._sums.assign(np.zeros(self._sums.shape, "float32"))
        self._seen.assign(np.zeros(self._seen.shape, "float32"))
        self.measures.assign(measures)

    def start_anew(self, transaction, measures):
        """`reset`, as a step of a `Transaction`."""
        before = [v.numpy() for v in self._variables()]

        def restore():
            for variable, value in zip(self._variables(), before):
                variable.assign(value)

        transaction.do(lambda: self.reset(measures), undo=restore)

    def _variables(self):
        return self._counts, self._sums, self._seen, self.measures

    def set_positions(self, structure):
        """Tells traced functions which units a structure has."""
        active = np.append(structure.units, True)
        positions = []
        for point in self._points_in(structure):
            units = point.units[active[point.units]]
            positions.append(np.where(units == self._units, -1, units))
        _, live_gates = self._map.live(structure)
        for gate in np.flatnonzero(live_gates):
            point = self._branch_points[gate]
            width = np.count_nonzero(active[point.units])
            width = 1 if point.kind == "branch" else width
            positions.append(np.full(width, self._units + gate))
        positions = np.concatenate([*positions, np.zeros(0, int)])
        last = self._sums.shape[1] - 1
        self._positions.assign(np.where(positions < 0, last, positions))

    def _points_in(self, structure):
        """Factor points of layers that are called in a structure."""
        present = self._map.present_layers(structure.gates)
        return [
            point
            for point in self._points
            if present[self._map.layer_index(point.layer)]
        ]

    def _parts(self):
        """Factor points at present: `(point, index of its gate or None)`."""
        structure = self._network.structure
        _, live_gates = self._map.live(structure)
        units = [(point, None) for point in self._points_in(structure)]
        return units + [
            (self._branch_points[gate], int(gate))
            for gate in np.flatnonzero(live_gates)
        ]

    def needs_factors(self):
        """Whether some saliency is read from an explicit factor."""
        return bool(self.factor_points())

    def factor_points(self):
        """Factor points that need an explicit factor on the device."""
        if self._network.state.settled:
            return []
        return [
            point for point, _ in self._parts() if not point.weights_suffice()
        ]

    def factors_seen_backwards(self):
        """Stand-ins for explicit factors, for those who have no tape.

        Returns:
            `(factor points, functions)`, as `CallPlan.explicit_factors` takes
            them. The functions return their inputs.
        """
        points = {id(point): (point, gate) for point, gate in self._parts()}
        found = self.factor_points()
        return found, [self._looking_at(*points[id(p)]) for p in found]

    def _looking_at(self, point, gate):
        last = self._seen.shape[0] - 1

        def see(outputs, gradient, axis):
            self._points_seen.add(id(point))
            product = ops.multiply(
                ops.cast(outputs, "float32"), ops.cast(gradient, "float32")
            )
            if gate is not None:
                where = self._units + gate
                total = ops.reshape(ops.sum(product), (1,))
                units = ops.full((1,), where, dtype="int32")
            else:
                rank = len(outputs.shape)
                others = set(range(rank)) - {axis % rank}
                total = ops.sum(product, axis=sorted(others))
                units = self._network.plan.units_at(point)
                units = ops.where(units == self._units, last, units)
            self._seen.assign_add(ops.segment_sum(total, units, last + 1))

        def look(outputs, axis):
            return backend.seen_backwards(
                outputs, lambda x, gradient: see(x, gradient, axis)
            )

        return look

    def update(
        self,
        gradient_of,
        factor_gradients,
        batch_size,
        scale,
        penalized=None,
    ):
        """Takes in the gradients of one step (called while tracing).

        Args:
            gradient_of: Maps `id(variable)` to the gradient of the loss, of
                all replicas together.
            factor_gradients: Gradients at `factor_points()`, in their order,
                likewise; or None, for those that `factors_seen_backwards` saw.
            batch_size: Number of examples of all replicas, a scalar tensor.
            scale: What the gradients are multiplied by (loss scale).
            penalized: `id`s of the variables whose weight penalties are in
                the loss. Defaults to `None`: all.
        """
        seen, scale = 0.0, ops.cast(scale, "float32")
        if factor_gradients is None:
            factor_gradients, seen = self._take_what_was_seen(scale)
        by_factor = {
            id(point): gradient
            for point, gradient in zip(self.factor_points(), factor_gradients)
        }
        examples = ops.cast(batch_size, "float32")
        known = gradient_of, by_factor, scale, penalized

        def count(measured):
            one = ops.ones((), "float32")
            self._counts.assign_add(ops.stack([one, examples, measured]))

        def measure():
            total = self._total(*known) + seen
            # Under float16 the gradients of a batch may overflow; the
            # optimizer skips that batch, and so does the measurement.
            finite = ops.all(ops.isfinite(total))
            new = ops.stack([total, ops.square(total)])
            self._sums.assign_add(ops.where(finite, new, ops.zeros_like(new)))
            count(ops.cast(finite, "float32"))

        backend.either(
            self.measures, measure, lambda: count(ops.zeros((), "float32"))
        )

    def _take_what_was_seen(self, scale):
        """`(gradients at factor_points(), m dL/dm of all units and layers)`.

        All is in the second; the first are zero, or None where nothing was.
        """
        points = self.factor_points()
        if not points:
            return [], 0.0
        here = ops.convert_to_tensor(self._seen) / scale
        self._seen.assign(ops.zeros_like(here))
        (seen,) = backend.sum_over_replicas([here])
        ones = map(self._network.plan.ones, points)
        return [
            ops.zeros_like(one) if id(point) in self._points_seen else None
            for point, one in zip(points, ones)
        ], seen

    def _total(self, gradient_of, by_factor, scale, penalized):
        """`m dL/dm` of all units and layers, those not measured zero."""
        parts, unmeasured = [], []
        for point, gate in self._parts():
            part = self._derivative(
                point, gradient_of, by_factor, scale, penalized
            )
            if part is None:
                unmeasured.append((point, gate))
                part = ops.zeros_like(self._network.plan.ones(point))
            parts.append(part)
        # What the trace of these layers does not measure.
        self._unmeasured[self._network.trace_key()] = unmeasured
        if not parts:
            return ops.zeros((self._sums.shape[1],), dtype="float32")
        return ops.segment_sum(
            ops.concatenate(parts),
            self._positions.value(),
            self._sums.shape[1],
        )

    def _derivative(self, point, gradient_of, by_factor, scale, penalized):
        """`m dL/dm` of each channel of a factor point, or None."""
        if not point.weights_suffice():
            gradient = by_factor.get(id(point))
            return None if gradient is None else gradient / scale
        result = None
        for name in point.weights():
            variable = getattr(point.layer, name)
            gradient = gradient_of.get(id(variable))
            if gradient is None:
                continue
            value = ops.cast(ops.convert_to_tensor(variable), "float32")
            penalty = None
            if penalized is None or id(variable) in penalized:
                penalty = _penalty_gradient(variable)
            rows = backend.rows_of(gradient)
            if rows is not None and penalty is None:
                # Of an embedding, only rows that were looked up have one.
                value, gradient = ops.take(value, rows[0], axis=0), rows[1]
            gradient = ops.convert_to_tensor(gradient)
            gradient = ops.cast(gradient, "float32") / scale
            if penalty is not None:
                gradient = gradient - ops.cast(penalty, "float32")
            part = ops.multiply(value, gradient)
            part = point.sum_of_outputs(name, part)
            result = part if result is None else result + part
        return result

    def read(self):
        """What was measured since `reset`.

        Returns:
            A dict: `units` and `gates` (saliencies, NaN where not measured),
            `steps` and `examples` (all that were trained on).
        """
        steps, examples, measured = (float(x) for x in self._counts.numpy())
        result = {"steps": steps, "examples": examples}
        units, gates = np.full(self._units, np.nan), len(self._map.gates)
        result["units"], result["gates"] = units, np.full(gates, np.nan)
        if measured:
            total, squares = self._sums.numpy().astype("float64")
            values = saliency(total, squares, measured, examples / steps)
            is_measured = self._is_measured()
            values = np.where(is_measured, values[:-1], np.nan)
            result["units"] = values[: self._units]
            result["gates"] = values[self._units :]
        return result

    def _is_measured(self):
        """Boolean array `(units + gates,)`: what the running trace measures."""
        structure = self._network.structure
        units, gates = self._map.live(structure)
        unmeasured = self._unmeasured.get(self._network.trace_key(), ())
        is_point_measured = {(id(p), gate) for p, gate in unmeasured}
        covered = np.zeros(self._units + 1, bool)
        for point, gate in self._parts():
            if (id(point), gate) in is_point_measured:
                if gate is not None:
                    gates[gate] = False
            elif gate is None:
                covered[point.units] = True
        return np.concatenate([units & covered[:-1], gates])

    def to_arrays(self):
        """Returns the sums of an unfinished period as NumPy arrays."""
        return {
            "meter.counts": self._counts.numpy(),
            "meter.all_sums": self._sums.numpy(),
        }

    def from_arrays(self, arrays):
        """Takes over what `to_arrays` returned, for the same structure."""
        self._counts.assign(np.array(arrays["meter.counts"]))
        if "meter.all_sums" in arrays:
            self._sums.assign(np.array(arrays["meter.all_sums"]))


def _zeros(shape, name):
    return keras.Variable(
        np.zeros(shape, "float32"), trainable=False, autocast=False, name=name
    )


def _penalty_gradient(variable):
    """Gradient of a weight penalty, which is no part of the saliency."""
    regularizer = penalty_of(variable)
    if regularizer is None:
        return None
    value = backend.tensor_of(variable)
    _, (gradient,), _ = backend.gradients(
        lambda: (regularizer(value), None), [], [value]
    )
    return gradient

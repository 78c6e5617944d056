"""Reads the saliency of units from the gradients of training steps."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_growprune.growth.saliency import saliency


class SaliencyMeter:
    """Sums, on the device, what the saliencies of one epoch are made of.

    For a unit with the factor `m` on its output, `m dL/dm` at `m = 1` equals
    `gamma dL/dgamma + beta dL/dbeta` of the norm that follows it, or the same
    of kernel and bias where no norm follows. So the factor need not exist.

    Args:
        channel_map: A `ChannelMap`.
        points: `GatePoint`s of the groups.
        branch_points: One `GatePoint` per gate.
    """

    def __init__(self, channel_map, points, branch_points):
        self._map = channel_map
        self._points = points
        self._branch_points = branch_points
        self._counts = keras.Variable(
            np.zeros(3, "float32"), trainable=False, name="step_counts"
        )
        self._sums = None
        self.reset(None)

    def reset(self, structure):
        """Starts anew, for the units of a structure (None: counts only)."""
        self._counts.assign(np.zeros(3, "float32"))
        if structure is None:
            self._sums = None
            self._units = self._gates = None
            return
        live_units, live_gates = self._map.live(structure)
        units, gates = np.flatnonzero(live_units), np.flatnonzero(live_gates)
        size = len(units) + len(gates)
        if self._sums is None or self._sums.shape[1] != size:
            self._sums = keras.Variable(
                np.zeros((2, size), "float32"),
                trainable=False,
                name="saliency_sums",
            )
        else:
            self._sums.assign(np.zeros((2, size), "float32"))
        self._units, self._gates = units, gates
        present = self._map.present_layers(structure.gates)
        self._is_present = lambda layer: present[self._map.layer_index(layer)]
        # Position of each unit in the sums; what always exists has none.
        self._position = np.full(len(structure.units) + 1, -1)
        self._position[units] = np.arange(len(units))
        self._active = np.append(structure.units, True)

    def factors(self):
        """Gate points that need an explicit factor on the device.

        Returns:
            List of `(point, number of channels)`.
        """
        if self._sums is None:
            return []
        found = []
        for point in self._points:
            if self._is_present(point.layer) and not point.weights_suffice():
                width = int(np.count_nonzero(self._active[point.units]))
                found.append((point, width))
        for gate in self._gates:
            if not self._branch_points[gate].weights_suffice():
                found.append((self._branch_points[gate], 1))
        return found

    def update(self, gradient_of, factor_gradients, batch_size, scale):
        """Takes in the gradients of one step (called while tracing).

        Args:
            gradient_of: Maps `id(variable)` to the gradient of the loss.
            factor_gradients: Gradients of `factors()`, in their order.
            batch_size: Number of examples, a scalar tensor.
            scale: What the gradients are multiplied by (loss scale).
        """
        one, examples = ops.ones((), "float32"), ops.cast(batch_size, "float32")
        total = self._total(gradient_of, factor_gradients, scale)
        if total is None:
            self._counts.assign_add(ops.stack([one, examples, one]))
            return
        # Under float16 the gradients of a batch may overflow; the optimizer
        # skips that batch, and so does the measurement.
        finite = ops.all(ops.isfinite(total))
        new = ops.stack([total, ops.square(total)])
        self._sums.assign_add(ops.where(finite, new, ops.zeros_like(new)))
        self._counts.assign_add(
            ops.stack([one, examples, ops.cast(finite, "float32")])
        )

    def _total(self, gradient_of, factor_gradients, scale):
        """`m dL/dm` of all units and layers, or None if nothing is measured."""
        if self._sums is None:
            return None
        by_factor = {
            id(point): gradient
            for (point, _), gradient in zip(self.factors(), factor_gradients)
        }
        parts, positions = [], []
        for point in self._points:
            if not self._is_present(point.layer):
                continue
            position = self._position[point.units[self._active[point.units]]]
            part = self._derivative(point, gradient_of, by_factor, scale)
            if part is not None:
                parts.append(part)
                positions.append(position)
        for row, gate in enumerate(self._gates):
            point = self._branch_points[gate]
            part = self._derivative(point, gradient_of, by_factor, scale)
            if part is not None:
                parts.append(part)
                width = int(part.shape[0])
                positions.append(np.full(width, len(self._units) + row))
        if not parts:
            return None
        positions = np.concatenate(positions)
        values = ops.concatenate(parts)
        if (positions < 0).any():  # channels that always exist
            values = ops.take(values, np.flatnonzero(positions >= 0), axis=0)
            positions = positions[positions >= 0]
        total = ops.segment_sum(values, positions, self._sums.shape[1])
        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            total = context.all_reduce(tf.distribute.ReduceOp.SUM, total)
        return total

    def _derivative(self, point, gradient_of, by_factor, scale):
        """`m dL/dm` of each channel of a gate point, or None."""
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
            penalty = _penalty_gradient(variable)
            if isinstance(gradient, tf.IndexedSlices) and penalty is None:
                # Of an embedding, only rows that were looked up have one.
                value = tf.gather(value, gradient.indices)
                gradient = gradient.values
            gradient = tf.convert_to_tensor(gradient)
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
        result["units"] = np.full(self._map.unit_count, np.nan)
        result["gates"] = np.full(len(self._map.gates), np.nan)
        if self._sums is not None and measured:
            total, squares = self._sums.numpy().astype("float64")
            values = saliency(total, squares, measured, examples / steps)
            result["units"][self._units] = values[: len(self._units)]
            result["gates"][self._gates] = values[len(self._units) :]
        return result

    def to_arrays(self):
        """Returns the sums of an unfinished epoch as NumPy arrays."""
        arrays = {"meter.counts": self._counts.numpy()}
        if self._sums is not None:
            arrays["meter.sums"] = self._sums.numpy()
        return arrays

    def from_arrays(self, arrays):
        """Takes over what `to_arrays` returned, for the same structure."""
        self._counts.assign(np.array(arrays["meter.counts"]))
        if self._sums is not None and "meter.sums" in arrays:
            self._sums.assign(np.array(arrays["meter.sums"]))


def _penalty_gradient(variable):
    """Gradient of a weight penalty, which is no part of the saliency."""
    if variable.regularizer is None:
        return None
    with tf.GradientTape() as tape:
        value = tf.convert_to_tensor(variable)
        tape.watch(value)
        penalty = variable.regularizer(value)
    gradient = tape.gradient(penalty, value)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return None if gradient is None else gradient / replicas

"""Where a factor on a unit acts, and so where its saliency can be read.

A factor in front of a normalization is divided out by it, so it acts after the
norm that follows its layer, or on the layer's own output where there is none.
"""

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from keras_growprune import keras_internals
from keras_growprune.structure import axes
from keras_growprune.structure import neighbors
from keras_growprune.structure.following import norm_axes
from keras_growprune.structure.propagation import MIXING
from keras_growprune.structure.propagation import NORMS
from keras_growprune.structure.sequences import recurrent_parts

# Linear, and without weights.
_PASS_SCALE_ON = (
    keras.layers.Identity,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras_internals.layers_of_applications().get("StochasticDepth", ()),
)


@dataclasses.dataclass(frozen=True)
class FactorPoint:
    """One place where units are multiplied by factors.

    Attributes:
        kind: `"norm"`: the output of a norm, with the same effect on its
            gamma and beta. `"layer"`: the output of a layer before its
            activation, with the same effect on its kernel and bias; of a
            recurrent layer its output and what it reads of it itself, one
            step later. `"recurrence"`: only the latter, where a norm follows.
            `"branch"`: the branch of a gated layer, with no weight that
            could stand for it.
        layer: The norm, the layer, or the gated layer.
        axis: The channel axis of the output.
        units: Unit behind each channel.
        labels: Maps attributes of the layer's weights to the labels of their
            axes.
        may_have_gamma: Whether the layer is a norm that has a gamma for each
            channel, or would have with `scale=True`.
    """

    kind: str
    layer: object
    axis: int
    units: np.ndarray
    labels: Mapping = dataclasses.field(default_factory=dict)
    may_have_gamma: bool = False

    def weights(self):
        """Attributes of the weights that scale with the factor."""
        if self.kind in ("branch", "recurrence"):
            return []
        return [
            name
            for name in axes.axes_of(self.layer).scaled_by
            if axes.OUT in self.labels.get(name, ())
        ]

    def is_foldable(self):
        """Whether scaling weights is the same as scaling the output."""
        if self.kind in ("branch", "recurrence"):
            return False
        # Without the first of them, a norm's gamma, the others do not do.
        scaled_by = axes.axes_of(self.layer).scaled_by
        return bool(scaled_by) and self.weights()[:1] == [scaled_by[0]]

    def along_output(self, name, values):
        """Shapes one value for each channel to fit one of these weights."""
        labels = self._labels(name)
        return values.reshape([-1 if x == axes.OUT else 1 for x in labels])

    def sum_of_outputs(self, name, values):
        """Sums what belongs to each channel, of one of these weights."""
        labels = self._labels(name)
        others = [i for i, x in enumerate(labels) if x != axes.OUT]
        return ops.sum(values, axis=others) if others else values

    def _labels(self, name):
        # A gamma that the layer does not have yet has those of the table.
        return self.labels.get(name) or axes.axes_of(self.layer).weights[name]

    def weights_suffice(self):
        """Whether those weights are trained, so that they have gradients."""
        return self.is_foldable() and self.layer.trainable


def find_factor_points(channel_map):
    """Returns the `FactorPoint`s of all groups of a network."""
    points, seen = [], set()
    always = channel_map.unit_count
    consumers = neighbors.consumers(channel_map)
    for call in channel_map.calls:
        layer = call.layer
        for part in recurrent_parts(layer):
            units = channel_map.units_of(part)
            if np.any(units < always) and id(part) not in seen:
                is_normed = _reaches_norm(call, consumers)
                kind = "recurrence" if is_normed else "layer"
                # Rows of the recurrent kernel; outputs, counted backwards.
                points.append(FactorPoint(kind, part, -1, units))
                seen.add(id(part))
        channels = channel_map.channels.get(id(call.outputs[0]))
        if channels is None or id(layer) in seen:
            continue
        if np.all(channels.units == always):
            continue
        known = axes.axes_of(layer)
        if known is not None and known.channels in NORMS:
            kind, axis = "norm", channels.axis
        elif axes.is_growable(layer) and not _reaches_norm(call, consumers):
            kind = "layer"
            # Inside, a layer that is applied to each step sees no time axis.
            axis = channels.axis - (layer is not call.operation)
        else:
            continue
        seen.add(id(layer))
        units = channels.units
        points.append(_point_at(channel_map, kind, call, axis, units))
    return points


def _point_at(channel_map, kind, call, axis, units):
    layer = call.layer
    labels = {
        weight.attribute: weight.labels
        for weight in channel_map.weights
        if weight.layer is layer
    }
    rank = len(call.outputs[0].shape)
    may_have_gamma = (
        kind == "norm"
        and "scale" in layer.get_config()
        and norm_axes(layer, rank) == [axis]
    )
    return FactorPoint(kind, layer, axis, units, labels, may_have_gamma)


def find_branch_points(channel_map):
    """Returns one `FactorPoint` per gated layer, at the end of its branch."""
    consumers = neighbors.consumers(channel_map)
    producers = neighbors.producers(channel_map)
    calls = [call.layer for call in channel_map.calls]
    points = []
    for gate in channel_map.gates:
        branch = channel_map.calls[gate.call].inputs[1]
        channels = channel_map.channels.get(id(branch))
        axis = len(branch.shape) - 1 if channels is None else channels.axis
        units = (
            np.full(branch.shape[axis], channel_map.unit_count)
            if channels is None
            else channels.units
        )
        point = None
        # A skip's branch leaves for its input, not for zero.
        if axes.axes_of(gate.layer).channels == "gate":
            end = _end_with_weights(branch, producers, consumers)
            is_alone = end and sum(each is end.layer for each in calls) == 1
            if is_alone and axes.axes_of(end.layer).scaled_by:
                is_norm = axes.axes_of(end.layer).channels in NORMS
                kind = "norm" if is_norm else "layer"
                point = _point_at(channel_map, kind, end, axis, units)
        if point is None or not point.weights_suffice():
            point = FactorPoint("branch", gate.layer, axis, units)
        points.append(point)
    return points


def find_recurrent_ends(channel_map):
    """The recurrent layers at the ends of residual branches.

    Returns:
        One list for each gated layer, empty where its branch ends otherwise.
    """
    consumers = neighbors.consumers(channel_map)
    producers = neighbors.producers(channel_map)
    found = []
    for gate in channel_map.gates:
        branch = channel_map.calls[gate.call].inputs[1]
        end = _end(branch, producers, consumers)
        is_sum = axes.axes_of(gate.layer).channels == "gate"
        found.append(recurrent_parts(end.layer) if is_sum and end else [])
    return found


def _end_with_weights(tensor, producers, consumers):
    """The call whose weights scale a branch, or None."""
    call = _end(tensor, producers, consumers)
    if call is None or axes.axes_of(call.layer) is None:
        return None
    is_alone = call.layer is call.operation
    return call if is_alone and is_linear(call.layer) else None


def _end(tensor, producers, consumers):
    """The call that a branch ends with, or None.

    What lies between it and the end of the branch only passes a scale on.
    """
    while len(consumers[id(tensor)]) == 1 and id(tensor) in producers:
        call = producers[id(tensor)]
        if not _passes_scale_on(call.layer):
            return call
        tensor = call.inputs[0]
    return None


def _passes_scale_on(layer):
    """Whether a layer without weights is linear and has no offset."""
    if isinstance(layer, keras.layers.Rescaling):
        return bool(np.all(np.equal(layer.offset, 0)))
    return isinstance(layer, _PASS_SCALE_ON)


def is_linear(layer):
    """Whether a layer has no activation."""
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", None)
    return activation is None or name == "linear"


def _reaches_norm(call, consumers):
    """Whether the layer's channels meet a norm before they are mixed."""
    stack, seen = list(call.outputs), set()
    while stack:
        for consumer in consumers.get(id(stack.pop()), []):
            if consumer is None or id(consumer) in seen:
                continue
            seen.add(id(consumer))
            known = axes.axes_of(consumer.layer)
            if known is None or known.channels in MIXING:
                continue
            if known.channels in NORMS:
                return True
            stack.extend(consumer.outputs)
    return False

"""Changes the shape of a network in place: the one entry point."""

import contextlib

import numpy as np

from keras_growprune import keras_internals
from keras_growprune.structure import Structure
from keras_growprune.structure import candidate_columns
from keras_growprune.structure import is_growable


class Restructurer:
    """Moves a network from one structure to another.

    Always in this order: what leaves or moves is copied to the host store;
    newcomers are drawn; all new values are computed; only then variables,
    optimizer slots, the optimizer's index, layer attributes and symbolic
    shapes are changed.

    Args:
        channel_map: The `ChannelMap` of the network at its full width.
        store: The `HostStore`.
        branch_points: One `GatePoint` per gate, the end of its branch.
        identities: One `IdentityBranch` or None per gate.
        recurrent_ends: One list per gate, the recurrent layers that its
            branch ends with.
    """

    def __init__(
        self, channel_map, store, branch_points, identities, recurrent_ends
    ):
        self._map = channel_map
        self._store = store
        self._branch_points = branch_points
        self._identities = identities
        self._recurrent_ends = recurrent_ends
        self.structure = Structure(
            np.ones(channel_map.unit_count, bool),
            np.ones(len(channel_map.gates), bool),
        )

    def apply(self, structure, random=None, new_gates=None, keep=False):
        """Gives the network another structure.

        Args:
            structure: The new `Structure`.
            random: A `numpy.random.Generator` for newcomers, or None to draw
                none (when weights are loaded afterwards).
            new_gates: Maps indices of gates that are on for the first time to
                mean and variance of each channel of their shortcuts at full
                width (or to None where unknown). Their branches start so that
                the layer is the identity.
            keep: Whether all that there is counts as drawn, and everything
                else becomes new: for the first structure of a trained network.

        Returns:
            Whether any shape, or the graph, changed: traced functions are
            stale then.
        """
        before = self._map.present_layers(self.structure.gates)
        present = self._map.present_layers(structure.gates)
        old = self._entries(self.structure, before)
        entries = self._entries(structure, present)
        changed = self._changed(old, entries, draws=random is not None)
        if not changed and structure == self.structure:
            return False
        for index in changed:
            self._store.read(index, old[index])
        if keep:
            for index, each in enumerate(entries):
                self._store.keep(index, each)
        for gate, statistics in (new_gates or {}).items():
            self._silence(self._branch_points[gate])
            for layer in self._recurrent_ends[gate]:
                self._silence_recurrent(layer, structure)
            if self._identities[gate] is not None:
                self._repeat_input(
                    self._identities[gate], structure, statistics
                )
        if random is not None:
            for index, each in enumerate(entries):
                self._store.draw_newcomers(index, each, random)
        plan = [
            (index, *self._store.active(index, entries[index]))
            for index in changed
        ]
        stale = self._commit(plan)
        stale = stale or not np.array_equal(before, present)
        stale = stale or not np.array_equal(
            structure.gates, self.structure.gates
        )
        self.structure = structure
        self._refresh_graph(present)
        return stale

    @contextlib.contextmanager
    def full_attributes(self):
        """Inside, attributes of layers tell the full network's shape."""
        before = [
            (each.layer, each.name, getattr(each.layer, each.name))
            for each in self._map.attributes
        ]
        everything = np.ones(self._map.unit_count, bool)
        for each in self._map.attributes:
            setattr(each.layer, each.name, each.value(everything))
        try:
            yield
        finally:
            for layer, name, value in before:
                setattr(layer, name, value)

    def scale_weights(self, folds):
        """Scales weights as if outputs were scaled.

        Args:
            folds: List of `(gate point, factors)`, one factor per channel in
                the network.
        """
        for weight in self._map.weights:
            value = weight.variable.numpy()
            for point, factors in folds:
                is_theirs = weight.layer is point.layer and value.size
                name = weight.attribute
                if is_theirs and name in point.weights():
                    factors = factors.astype(value.dtype)
                    value = value * point.along_output(name, factors)
                    weight.variable.assign(value)

    def _entries(self, structure, present):
        return [
            self._map.indices(weight, structure, present)
            for weight in self._map.weights
        ]

    def _changed(self, old, new, draws):
        """Indices of weights that get other entries, or newly drawn ones."""
        return [
            index
            for index, (before, after) in enumerate(zip(old, new))
            if not all(map(np.array_equal, before, after))
            or (draws and self._store.has_newcomers(index, after))
        ]

    def _silence(self, point):
        names = point.weights()
        for index, weight in enumerate(self._map.weights):
            if weight.layer is point.layer and weight.attribute in names:
                self._store.clear(index)
                if self._store.drawn[index] is not None:
                    self._store.drawn[index][:] = True

    def _silence_recurrent(self, layer, structure):
        """Makes a recurrent layer return zeros."""
        units = self._map.units_of(layer)
        active = np.append(structure.units, True)
        for index, weight in enumerate(self._map.weights):
            if weight.layer is not layer or "cell." not in weight.attribute:
                continue
            size = len(units) or layer.units
            columns = candidate_columns(weight.full_shape[-1], size)
            if self._store.drawn[index] is None or "bias" in weight.attribute:
                self._store.put(index, (..., columns), 0.0)
                continue
            self._store.clear(index)
            # Units that come later are no part of this: they start as all do.
            here = active[units] if len(units) else slice(None)
            self._store.drawn[index][columns[here]] = True

    def _repeat_input(self, branch, structure, statistics):
        """Makes the branch of a skip return what goes into it."""
        active = np.append(structure.units, True)
        here = np.flatnonzero(active[branch.units])
        for index, weight in enumerate(self._map.weights):
            name = weight.attribute
            if weight.layer is branch.mixer:
                self._store.clear(index)
                if name == "kernel":
                    center = [size // 2 for size in weight.full_shape[:-2]]
                    self._store.put(index, (*center, here, here), 1.0)
                    self._store.drawn[index][here] = True
            elif weight.layer is branch.norm and statistics is not None:
                mean, variance = statistics
                value = {
                    "gamma": np.sqrt(variance + branch.norm.epsilon),
                    "beta": mean,
                    "moving_mean": mean,
                    "moving_variance": variance,
                }.get(name)
                if value is not None:
                    self._store.put(index, here, value[here])

    def _commit(self, plan):
        stale = False
        optimizer = self._store.optimizer
        old_resources = []
        with keras_internals.reindexed([optimizer] if optimizer else []):
            for index, value, slots in plan:
                variable = self._map.weights[index].variable
                pairs = [(variable, value)]
                for name, slot in self._store.slot_variables(index):
                    pairs.append((slot, slots[name]))
                for target, new in pairs:
                    if tuple(target.shape) == new.shape:
                        target.assign(new)
                    else:
                        old_resources.append(
                            keras_internals.raw_resource(target)
                        )
                        keras_internals.resize_variable(target, new)
                        stale = True
        for resource in old_resources:
            keras_internals.forget_resource(resource)
        return stale

    def _refresh_graph(self, present):
        """Widths that layers and symbolic tensors remember."""
        active = np.append(self.structure.units, True)
        widths = {}
        for call in self._map.calls:
            is_present = present[self._map.layer_index(call.operation)]
            for tensor in call.outputs:
                channels = self._map.channels.get(id(tensor))
                if channels is None:
                    continue
                width = int(np.count_nonzero(active[channels.units]))
                width = width if is_present else 0
                widths[id(tensor)] = (channels.axis, width)
                keras_internals.set_tensor_shape(tensor, channels.axis, width)
            self._refresh_input_spec(call, widths)
            if is_present:
                shape = call.outputs[0].shape
                keras_internals.refresh_target_shape(call.operation, shape)
        for attribute in self._map.attributes:
            layer = attribute.layer
            if present[self._map.layer_index(layer)]:
                value = attribute.value(self.structure.units)
                setattr(layer, attribute.name, value)
            elif is_growable(layer):
                setattr(layer, attribute.name, 0)

    @staticmethod
    def _refresh_input_spec(call, widths):
        if not call.inputs or id(call.inputs[0]) not in widths:
            return
        channel_axis, width = widths[id(call.inputs[0])]
        rank = len(call.inputs[0].shape)
        if call.layer is not call.operation:
            # Inside, a layer that is applied to each step sees no time axis.
            channel_axis, rank = channel_axis - 1, rank - 1
        spec = getattr(call.layer, "input_spec", None)
        for axis in getattr(spec, "axes", None) or {}:
            if axis % rank == channel_axis:
                spec.axes[axis] = width

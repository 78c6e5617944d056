"""Finds out which channels of a functional network depend on each other."""

import dataclasses

import numpy as np

from keras_growprune import keras_internals
from keras_growprune.structure import axes
from keras_growprune.structure.channel_map import ChannelMap
from keras_growprune.structure.channel_map import Group
from keras_growprune.structure.channel_map import LayerAttribute
from keras_growprune.structure.channel_map import LayerGate
from keras_growprune.structure.channel_map import SlicedConstant
from keras_growprune.structure.channel_map import SplitPoints
from keras_growprune.structure.channel_map import TensorChannels
from keras_growprune.structure.channel_map import WeightAxes
from keras_growprune.structure.learned_axes import learn_axes
from keras_growprune.structure.propagation import KINDS

# While tracing, unit 0 stands for "always there"; units are renumbered at the
# end, and then the index past the last unit does.
_ALWAYS = 0


def trace_channels(
    calls, outputs, can_grow=axes.is_growable, slices_become_splits=False
):
    """Traces the channels of a network from its inputs to its outputs.

    Args:
        calls: List of calls in topological order, each a
            `keras_internals.Call`.
        outputs: The network's output tensors.
        can_grow: Function of a layer, whether its channels are units.
            Defaults to whether the layer is a growable one.
        slices_become_splits: Whether slices of channels, whose numbers stand
            in the call, will be written as splits, whose points can move.

    Returns:
        A `ChannelMap`.
    """
    tracer = _Tracer(calls, can_grow, slices_become_splits)
    for call in calls:
        tracer.visit(call)
    for tensor in outputs:
        tracer.freeze([tensor], FEEDS_OUTPUT)
    return tracer.finish(outputs)


FEEDS_OUTPUT = "feeds an output of the model"


class _Tracer:
    def __init__(self, calls, can_grow, slices_become_splits):
        self._calls = calls
        self.slices_become_splits = slices_become_splits
        self._can_grow = can_grow
        self._count = 1
        self._channels = {}
        self._tensors = {}
        self._edges = []  # (units, units, why)
        self._blocks = []  # (layer, units) of each growable layer
        self._weights = {}
        self._attributes = {}
        self._constants = []
        self._gates = []
        self._reasons = []  # (units, reason)

    def channels(self, tensor):
        return self._channels.get(id(tensor))

    def fixed(self, size):
        return np.full(size, _ALWAYS)

    def is_fixed(self, units):
        return bool(np.all(units == _ALWAYS))

    def visit(self, call):
        if call.layer is not call.operation:
            self._visit_each_time(call)
            return
        known = axes.axes_of(call.layer) or self._learn(call)
        if known is None:
            self._freeze_unknown(call)
            return
        result = KINDS[known.channels](self, call)
        if isinstance(result, list):  # its outputs differ
            for tensor, (axis, units) in zip(call.outputs, result):
                self._set_channels([tensor], axis, units)
        elif result is not None:
            self._set_channels(call.outputs, *result)

    def _set_channels(self, tensors, axis, units):
        for tensor in tensors:
            self._channels[id(tensor)] = axis, units
            self._tensors[id(tensor)] = tensor

    def _learn(self, call):
        """What a trial tells of a layer that nobody knows."""
        source = self.channels(call.inputs[0]) if call.inputs else None
        if source is None or self.is_fixed(source[1]):
            return None
        known = learn_axes(call, source[0])
        if known is not None:
            axes.remember(call.layer, known)
        return known

    def _freeze_unknown(self, call):
        kind = type(call.layer).__name__
        self.freeze(
            call.inputs,
            f"unknown layer `{call.layer.name}` of type {kind}: teach it with "
            "`register_axes`",
        )

    def _visit_each_time(self, call):
        """A layer that is applied to every step of a sequence."""
        inner = keras_internals.without_time(call)
        source = self.channels(call.inputs[0])
        if source is not None:
            self._set_channels(inner.inputs, source[0] - 1, source[1])
        self.visit(inner)
        result = self.channels(inner.outputs[0])
        # What stands for one step is part of no graph.
        for tensor in inner.inputs + inner.outputs:
            self._channels.pop(id(tensor), None)
            self._tensors.pop(id(tensor), None)
        if result is not None:
            self._set_channels(call.outputs, result[0] + 1, result[1])

    @staticmethod
    def output_channel_axis(call):
        return axes.channel_axis(call.layer, call.outputs[0])

    @staticmethod
    def input_channel_axis(call):
        return axes.channel_axis(call.layer, call.inputs[0])

    def incoming(self, call, axis, tensor=None):
        """Units behind the channels that a call reads along an axis."""
        tensor = call.inputs[0] if tensor is None else tensor
        source = self.channels(tensor)
        if source is not None and source[0] == axis:
            return source[1]
        self.freeze(
            [tensor], f"layer `{call.layer.name}` reads along axis {axis}"
        )
        return self.fixed(tensor.shape[axis])

    def units_of_layer(self, layer, size):
        if not self._can_grow(layer):
            return self.fixed(size)
        for known, units in self._blocks:
            if known is layer:  # called more than once: the same units
                return units
        units = np.arange(self._count, self._count + size)
        self._count += size
        self._blocks.append((layer, units))
        return units

    def unite(self, first, second, why):
        self._edges.append((np.asarray(first), np.asarray(second), why))

    def tie_parts(self, units, count, why):
        """k-th channels of all parts are one unit.

        Returns:
            Units behind the channels of the first part.
        """
        parts = units.reshape(count, -1)
        for part in parts[1:]:
            self.unite(parts[0], part, why)
        return parts[0]

    def freeze(self, tensors, reason):
        for tensor in tensors:
            source = self.channels(tensor)
            if source is not None:
                self.freeze_units(source[1], reason)

    def freeze_units(self, units, reason):
        self.unite(units, np.full_like(units, _ALWAYS), reason)
        self._reasons.append((units, reason))

    def record_gate(self, call):
        self._gates.append(call)

    def record_weights(
        self, layer, incoming, outgoing, middle=None, only="", labels=None
    ):
        """Says which units the weights of a layer follow.

        Args:
            layer: The layer.
            incoming, outgoing, middle: Units behind the axes with these
                labels.
            only: Start of the attributes that this is about.
            labels: Labels of the axes, where the table has none.
        """
        for attribute, known in axes.axes_of(layer).weights.items():
            variable = axes.weight_of(layer, attribute)
            if variable is None or not attribute.startswith(only):
                continue
            key = (id(layer), attribute)
            units = tuple(
                {
                    axes.IN: incoming,
                    axes.OUT: outgoing,
                    axes.MIDDLE: middle,
                }.get(label)
                for label in labels or known
            )
            if key in self._weights:  # a shared layer ties what it reads
                for ours, theirs in zip(self._weights[key].units, units):
                    if ours is not None:
                        why = f"`{layer.name}` is used more than once"
                        self.unite(ours, theirs, why)
                continue
            self._weights[key] = WeightAxes(
                layer=layer,
                attribute=attribute,
                variable=variable,
                labels=labels or known,
                units=units,
                full_shape=tuple(variable.shape),
            )

    def record_width(self, call, units):
        """The layer has an attribute that tells its number of channels."""
        name = axes.axes_of(call.layer).width_attribute
        if name is not None:
            self.record_attribute(call.layer, name, units)

    def record_attribute(self, layer, name, units, template=None, place=None):
        """An attribute of a layer tells how many of some units there are.

        Args:
            layer: The layer.
            name: Name of the attribute.
            units: Units behind the channels that it counts.
            template, place: A tuple, and the index of the count in it, where
                the attribute is a shape.
        """
        self._attributes.setdefault(
            (id(layer), name),
            LayerAttribute(layer, name, units, template, place),
        )

    def record_split(self, layer, name, units, points):
        """An attribute of an operation tells where it splits channels."""
        self._attributes.setdefault(
            (id(layer), name), SplitPoints(layer, name, units, points)
        )

    def record_constant(self, call, value, axis, units):
        """A constant in a call has an entry for each channel.

        Args:
            call: The call.
            value: The constant.
            axis: Its axis of channels.
            units: Units behind the channels.
        """
        if not self.is_fixed(units):
            self._constants.append(SlicedConstant(call, value, axis, units))

    def _components(self):
        """Smallest connected unit of each unit."""
        label = np.arange(self._count)
        if not self._edges:
            return label
        first = np.concatenate([edge[0] for edge in self._edges])
        second = np.concatenate([edge[1] for edge in self._edges])
        while True:
            before = label.copy()
            lowest = np.minimum(label[first], label[second])
            np.minimum.at(label, first, lowest)
            np.minimum.at(label, second, lowest)
            label = label[label]
            if np.array_equal(before, label):
                return label

    def finish(self, outputs):
        label = self._components()
        # Units with the same writers form a group, in the order of the graph.
        writers = {}
        for index, (_, units) in enumerate(self._blocks):
            for unit in np.unique(label[units]):
                if unit != _ALWAYS:
                    writers.setdefault(int(unit), []).append(index)
        # And all units of a group are in each weight equally often.
        often = self._how_often(label)
        members = {}
        for unit, blocks in writers.items():
            members.setdefault((*blocks, often[unit]), []).append(unit)
        number = np.full(self._count, -1)
        groups, start, number_of = [], 0, {}
        for (*blocks, _), units in members.items():
            layers = tuple(self._blocks[index][0] for index in blocks)
            seeds = [getattr(layer, "seed_width", None) for layer in layers]
            seeds = [seed for seed in seeds if seed is not None]
            name = layers[0].name
            number_of[name] = number_of.get(name, 0) + 1
            if number_of[name] > 1:  # other channels of that layer
                name = f"{name}#{number_of[name]}"
            groups.append(
                Group(
                    name=name,
                    start=start,
                    size=len(units),
                    writers=layers,
                    seed=min(max(seeds), len(units)) if seeds else None,
                )
            )
            number[units] = np.arange(start, start + len(units))
            start += len(units)
        number[_ALWAYS] = start
        renumber = number[label]
        return ChannelMap(
            calls=self._calls,
            outputs=list(outputs),
            groups=groups,
            gates=[
                LayerGate(
                    name=call.operation.name,
                    layer=call.operation,
                    call=next(
                        i for i, c in enumerate(self._calls) if c is call
                    ),
                )
                for call in self._gates
            ],
            weights=[
                dataclasses.replace(
                    weight,
                    units=tuple(
                        None if units is None else renumber[units]
                        for units in weight.units
                    ),
                )
                for weight in self._weights.values()
            ],
            channels={
                key: TensorChannels(self._tensors[key], axis, renumber[units])
                for key, (axis, units) in self._channels.items()
            },
            attributes=[
                dataclasses.replace(each, units=renumber[each.units])
                for each in self._attributes.values()
            ],
            constants=[
                dataclasses.replace(each, units=renumber[each.units])
                for each in self._constants
                if np.any(label[each.units] != _ALWAYS)
            ],
            frozen=self._frozen_layers(label),
            ties=[(renumber[first], why) for first, _, why in self._edges],
        )

    def _how_often(self, label):
        """A number for each unit: equal for units with equal places.

        Equal means that every axis of every weight has them equally often.
        """
        result = np.zeros(self._count, dtype=np.uint64)
        odd = np.uint64(0x9E3779B97F4A7C15)
        for weight in self._weights.values():
            for units in weight.units:
                if units is not None:
                    counts = np.bincount(label[units], minlength=self._count)
                    result = result * odd + counts.astype(np.uint64)
        for each in self._attributes.values():
            # No part of a split may lose all of its channels.
            if isinstance(each, SplitPoints):
                for part in np.split(each.units, each.points):
                    counts = np.bincount(label[part], minlength=self._count)
                    result = result * odd + counts.astype(np.uint64)
        return result.tolist()

    def _frozen_layers(self, label):
        frozen = {}
        for layer, units in self._blocks:
            if np.all(label[units] == _ALWAYS):
                frozen[layer.name] = self._reason(units, label)
        return frozen

    def _reason(self, units, label):
        for others, reason in self._reasons:
            if np.intersect1d(units, others).size:
                return reason
        return "is summed with channels that cannot change"

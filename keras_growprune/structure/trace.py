"""Finds out which channels of a functional network depend on each other."""

import numpy as np

from keras_growprune.structure import axes
from keras_growprune.structure.channel_map import ChannelMap
from keras_growprune.structure.channel_map import Group
from keras_growprune.structure.channel_map import LayerGate
from keras_growprune.structure.channel_map import TensorChannels
from keras_growprune.structure.channel_map import WeightAxes
from keras_growprune.structure.propagation import KINDS

# While tracing, unit 0 stands for "always there"; units are renumbered at the
# end, and then the index past the last unit does.
_ALWAYS = 0


def trace_channels(calls, outputs):
    """Traces the channels of a network from its inputs to its outputs.

    Args:
        calls: List of calls in topological order, each with `operation`,
            `inputs` and `outputs` (lists of Keras tensors).
        outputs: The network's output tensors.

    Returns:
        A `ChannelMap`.
    """
    tracer = _Tracer(calls)
    for call in calls:
        tracer.visit(call)
    tracer.freeze(outputs, "feeds an output of the model")
    return tracer.finish(outputs)


class _Tracer:
    def __init__(self, calls):
        self._calls = calls
        self._count = 1
        self._channels = {}
        self._tensors = {}
        self._edges = []
        self._blocks = []  # (layer, units) of each growable layer
        self._weights = {}
        self._gates = []
        self._reasons = []  # (units, reason)

    def channels(self, tensor):
        return self._channels.get(id(tensor))

    def fixed(self, size):
        return np.full(size, _ALWAYS)

    def visit(self, call):
        known = axes.axes_of(call.operation)
        if known is None:
            if call.inputs:
                name = f"unknown layer `{call.operation.name}` of type "
                name += type(call.operation).__name__
                self.freeze(call.inputs, f"{name}: see `register_axes`")
            return
        result = KINDS[known.channels](self, call)
        if result is not None:
            for tensor in call.outputs:
                self._channels[id(tensor)] = result
                self._tensors[id(tensor)] = tensor

    def layer_channel_axis(self, call):
        rank = len(call.outputs[0].shape)
        data_format = getattr(call.operation, "data_format", "channels_last")
        return 1 if data_format == "channels_first" else rank - 1

    def incoming(self, call, axis):
        source = self.channels(call.inputs[0])
        if source is not None and source[0] == axis:
            return source[1]
        self.freeze(
            call.inputs,
            f"layer `{call.operation.name}` reads channels along axis {axis}",
        )
        return self.fixed(call.inputs[0].shape[axis])

    def units_of_layer(self, layer, size):
        if not axes.is_growable(layer):
            return self.fixed(size)
        for known, units in self._blocks:
            if known is layer:  # called more than once: the same units
                return units
        units = np.arange(self._count, self._count + size)
        self._count += size
        self._blocks.append((layer, units))
        return units

    def unite(self, first, second):
        self._edges.append((np.asarray(first), np.asarray(second)))

    def freeze(self, tensors, reason):
        for tensor in tensors:
            source = self.channels(tensor)
            if source is not None:
                self.freeze_units(source[1], reason)

    def freeze_units(self, units, reason):
        self.unite(units, np.full_like(units, _ALWAYS))
        self._reasons.append((units, reason))

    def record_gate(self, call):
        self._gates.append(call)

    def record_weights(self, layer, incoming, outgoing):
        for attribute, labels in axes.axes_of(layer).weights.items():
            variable = getattr(layer, attribute, None)
            if variable is None:
                continue
            key = (id(layer), attribute)
            units = tuple(
                {axes.IN: incoming, axes.OUT: outgoing}.get(label)
                for label in labels
            )
            if key in self._weights:  # a shared layer ties what it reads
                for ours, theirs in zip(self._weights[key].units, units):
                    if ours is not None:
                        self.unite(ours, theirs)
                continue
            self._weights[key] = WeightAxes(
                layer=layer,
                attribute=attribute,
                variable=variable,
                labels=labels,
                units=units,
                full_shape=tuple(variable.shape),
            )

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
        members = {}
        for unit, blocks in writers.items():
            members.setdefault(tuple(blocks), []).append(unit)
        number = np.full(self._count, -1)
        groups, start = [], 0
        for blocks, units in members.items():
            layers = tuple(self._blocks[index][0] for index in blocks)
            seeds = [getattr(layer, "seed_width", None) for layer in layers]
            seeds = [seed for seed in seeds if seed is not None]
            groups.append(
                Group(
                    name=layers[0].name,
                    start=start,
                    size=len(units),
                    writers=layers,
                    seed=max(seeds) if seeds else None,
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
                WeightAxes(
                    layer=weight.layer,
                    attribute=weight.attribute,
                    variable=weight.variable,
                    labels=weight.labels,
                    units=tuple(
                        None if units is None else renumber[units]
                        for units in weight.units
                    ),
                    full_shape=weight.full_shape,
                )
                for weight in self._weights.values()
            ],
            channels={
                key: TensorChannels(self._tensors[key], axis, renumber[units])
                for key, (axis, units) in self._channels.items()
            },
            frozen=self._frozen_layers(label),
        )

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

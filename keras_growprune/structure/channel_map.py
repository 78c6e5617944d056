"""The groups, gates and weight axes of one network, as traced."""

import dataclasses
import functools
import math

import keras
import numpy as np

from keras_growprune.structure import axes
from keras_growprune.structure.following import norm_axes
from keras_growprune.structure.sequences import recurrent_parts


@dataclasses.dataclass(frozen=True)
class Group:
    """Units that live and die together across several layers.

    Attributes:
        name: Name of the first layer that writes the group, with `#2` and so
            on for further groups of its channels.
        start: Index of the group's first unit in the network's unit vector.
        size: Number of units in the full network.
        writers: Growable layers whose output channels these units are.
        seed: Number of units that the user wants in the seed network, or None.
    """

    name: str
    start: int
    size: int
    writers: tuple
    seed: int | None

    @property
    def slice(self):
        return slice(self.start, self.start + self.size)


@dataclasses.dataclass(frozen=True)
class LayerGate:
    """A layer whose branch may leave the network.

    Attributes:
        name: Name of the gated layer.
        layer: The gated layer (`GatedAdd`, `GatedSkip`).
        call: Index of its call in `ChannelMap.calls`.
    """

    name: str
    layer: object
    call: int


@dataclasses.dataclass(frozen=True)
class WeightAxes:
    """One weight, and the units that its axes follow.

    Attributes:
        layer: The layer that owns it.
        attribute: The attribute of `layer` that holds it.
        variable: The `keras.Variable`.
        labels: One label per axis: `"in"`, `"out"` or None.
        units: One integer array per axis, the unit behind each entry (the
            index past the last unit stands for a channel that always exists),
            or None where the axis depends on no width.
        full_shape: Shape in the full network.
    """

    layer: object
    attribute: str
    variable: object
    labels: tuple
    units: tuple
    full_shape: tuple

    @property
    def fixed_size(self):
        """Number of entries along the axes that depend on no width."""
        sizes = zip(self.full_shape, self.units)
        return math.prod(size for size, units in sizes if units is None)


@dataclasses.dataclass(frozen=True)
class LayerAttribute:
    """An attribute of a layer that tells how many of some units there are.

    Attributes:
        layer: The layer.
        name: Name of the attribute, and of the constructor's argument.
        units: Units behind the channels that it counts.
        template, place: A tuple, and the index of the count in it, where the
            attribute is a shape; else None.
    """

    layer: object
    name: str
    units: np.ndarray
    template: tuple | None = None
    place: int | None = None

    def value(self, units):
        """The attribute's value for a boolean unit vector."""
        count = int(np.count_nonzero(np.append(units, True)[self.units]))
        if self.template is None:
            return count
        place = self.place
        return (*self.template[:place], count, *self.template[place + 1 :])


@dataclasses.dataclass(frozen=True)
class SplitPoints:
    """Where an operation splits channels.

    Attributes:
        layer: The operation.
        name: Name of the attribute, and of the constructor's argument.
        units: Units behind the channels that are split.
        points: Tuple, where they are split in the full network.
    """

    layer: object
    name: str
    units: np.ndarray
    points: tuple

    def value(self, units):
        """The attribute's value for a boolean unit vector."""
        active = np.append(units, True)[self.units]
        return tuple(int(np.count_nonzero(active[:p])) for p in self.points)


@dataclasses.dataclass(frozen=True)
class TensorChannels:
    """Where the channels of one tensor of the graph come from."""

    tensor: object
    axis: int
    units: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class SlicedConstant:
    """A constant in a call that has an entry for each of some channels.

    Attributes:
        call: The call.
        value: The constant: an array or a tensor.
        axis: Its axis of channels.
        units: Units behind the entries along that axis.
    """

    call: object
    value: object
    axis: int
    units: np.ndarray

    def entries(self, units):
        """Indices of the entries that are there, for a boolean unit vector."""
        return np.flatnonzero(np.append(units, True)[self.units])

    def part(self, units):
        """What of the constant is there, an array."""
        value = keras.ops.convert_to_numpy(self.value)
        return np.take(value, self.entries(units), axis=self.axis)


class ChannelMap:
    """What tracing found out about one functional network.

    Attributes:
        calls: Calls of the graph in topological order.
        outputs: The graph's output tensors.
        groups: List of `Group`.
        gates: List of `LayerGate`.
        weights: List of `WeightAxes`.
        channels: Maps `id(tensor)` to `TensorChannels`.
        attributes: List of `LayerAttribute` and `SplitPoints`.
        constants: List of `SlicedConstant`.
        frozen: Maps the name of a growable layer that cannot change its width
            to the reason.
        ties: List of `(units, why)`: what depends on each other, and why.
    """

    def __init__(
        self,
        calls,
        outputs,
        groups,
        gates,
        weights,
        channels,
        attributes,
        constants,
        frozen,
        ties,
    ):
        self.calls = calls
        self.outputs = outputs
        self.groups = groups
        self.gates = gates
        self.weights = weights
        self.channels = channels
        self.attributes = attributes
        self.constants = constants
        self.frozen = frozen
        self.ties = ties
        self.unit_count = sum(group.size for group in groups)
        self.sizes = np.array([group.size for group in groups], dtype=int)
        self._producer = {
            id(tensor): index
            for index, call in enumerate(calls)
            for tensor in call.outputs
        }
        self._gate_of_call = {gate.call: i for i, gate in enumerate(gates)}
        self._needed_cache, self._present_cache = {}, {}
        layers = {id(call.operation): call.operation for call in calls}
        self.layers = list(layers.values())
        self._layer_index = {key: i for i, key in enumerate(layers)}
        for call in calls:  # a layer inside another is there as this is
            index = self._layer_index[id(call.operation)]
            self._layer_index.setdefault(id(call.layer), index)
            for part in recurrent_parts(call.layer):
                self._layer_index.setdefault(id(part), index)
        self._always_there = self.present_layers(np.zeros(len(gates), bool))
        self._elastic_axes = {
            id(weight): self._find_elastic_axes(weight) for weight in weights
        }

    def _find_elastic_axes(self, weight):
        follows = [axis for axis, u in enumerate(weight.units) if u is not None]
        changing = [
            axis
            for axis in follows
            if (weight.units[axis] < self.unit_count).any()
        ]
        may_leave = not self._always_there[self.layer_index(weight.layer)]
        # What leaves as a whole is nothing along one axis at least.
        return changing or (follows[-1:] if may_leave else [])

    def elastic_axes(self, weight):
        """Axes of a `WeightAxes` along which its size may ever change."""
        return self._elastic_axes[id(weight)]

    def layer_index(self, layer):
        return self._layer_index[id(layer)]

    def needed_calls(self, gates):
        """Calls that the outputs depend on, in topological order.

        Args:
            gates: Boolean array of shape `(gates,)`. A gate that is off needs
                its shortcut only, so its branch is never called.

        Returns:
            List of indices into `calls`.
        """
        key = np.asarray(gates, dtype=bool).tobytes()
        if key not in self._needed_cache:
            # Inputs stay, also where what reads them has left.
            needed = {i for i, c in enumerate(self.calls) if c.node.is_input}
            stack = list(self.outputs)
            while stack:
                index = self._producer.get(id(stack.pop()))
                if index is None or index in needed:
                    continue
                needed.add(index)
                gate = self._gate_of_call.get(index)
                inputs = self.calls[index].inputs
                off = gate is not None and not gates[gate]
                stack.extend(inputs[:1] if off else inputs)
            self._needed_cache[key] = sorted(needed)
        return self._needed_cache[key]

    def present_layers(self, gates):
        """Boolean array over `layers`: which ones are called at all."""
        key = np.asarray(gates, dtype=bool).tobytes()
        if key not in self._present_cache:
            present = np.zeros(len(self.layers), dtype=bool)
            for index in self.needed_calls(gates):
                present[self.layer_index(self.calls[index].operation)] = True
            present.setflags(write=False)
            self._present_cache[key] = present
        return self._present_cache[key]

    def gate_is_off(self, call_index, gates):
        gate = self._gate_of_call.get(call_index)
        return gate is not None and not gates[gate]

    def widths(self, units):
        """Number of active units per group, from a boolean unit vector."""
        return np.array(
            [int(np.count_nonzero(units[g.slice])) for g in self.groups],
            dtype=int,
        )

    def least_widths(self):
        """Smallest width at which each group still says anything.

        Over a single channel, a layer normalization outputs its beta only.
        """
        names = "LayerNormalization RMSNormalization UnitNormalization"
        over_channels = tuple(
            getattr(keras.layers, name)
            for name in names.split()
            if hasattr(keras.layers, name)  # Keras 3.8 lacks one
        )
        least = np.ones(len(self.groups), dtype=int)
        for call in self.calls:
            if not isinstance(call.layer, over_channels):
                continue
            known = self.channels.get(id(call.outputs[0]))
            rank = len(call.outputs[0].shape)
            if known is None or norm_axes(call.layer, rank) != [known.axis]:
                continue
            units = known.units
            for index, group in enumerate(self.groups):
                if np.isin(np.arange(group.size) + group.start, units).any():
                    least[index] = min(2, group.size)
        return least

    def multiples(self, channels):
        """Smallest steps of widths, in units.

        Args:
            channels: Of how many channels widths are to be multiples. A unit
                may have several: where a layer works in parts.

        Returns:
            Integer array of shape `(groups,)`.
        """
        return channels // np.gcd(channels, self.units_to_channels())

    def units_to_channels(self):
        """How many channels of its writers one unit of each group has."""
        often = np.ones(len(self.groups), dtype=int)
        for index, group in enumerate(self.groups):
            for writer in group.writers:
                units = self.units_of(writer)
                count = np.count_nonzero(units == group.start)
                often[index] = max(often[index], count)
        return often

    def units_of(self, layer):
        """Units behind the output channels of a layer that may grow."""
        for each in self.attributes:
            if each.layer is layer and isinstance(each, LayerAttribute):
                name = axes.axes_of(layer).width_attribute
                if each.name == name:
                    return each.units
        return np.zeros(0, dtype=int)

    def with_constants(self, call, part):
        """The call with constants for the channels that are there.

        Args:
            call: One of `calls`.
            part: Function of a `SlicedConstant`, what takes its place.
        """
        parts = {
            id(each.value): functools.partial(part, each)
            for each in self.constants
            if each.call is call
        }
        return dataclasses.replace(call, constants=parts) if parts else call

    def live(self, structure):
        """What of a structure is really computed.

        Units inside a branch that is off, and gates inside it, are not.

        Returns:
            `(units, gates)`, boolean arrays.
        """
        present = self.present_layers(structure.gates)
        units = structure.units.copy()
        for group, is_live in zip(self.groups, self._live_groups(present)):
            if not is_live:
                units[group.slice] = False
        return units, self.live_gates(structure.gates)

    def live_widths(self, widths, gates):
        """Widths of the groups, 0 of those that are not computed.

        Args:
            widths: Sequence of integers, one per group.
            gates: Boolean array of shape `(gates,)`.

        Returns:
            Integer array of shape `(groups,)`.
        """
        live = self._live_groups(self.present_layers(gates))
        return np.where(live, np.asarray(widths, dtype=int), 0)

    def live_gates(self, gates):
        """Boolean array, gates that are on and not inside one that is off."""
        present = self.present_layers(gates)
        reached = [present[self.layer_index(gate.layer)] for gate in self.gates]
        return np.asarray(gates, bool) & np.array(reached, dtype=bool)

    def _live_groups(self, present):
        live = [
            any(present[self.layer_index(writer)] for writer in group.writers)
            for group in self.groups
        ]
        return np.array(live, dtype=bool)

    def indices(self, weight, structure, present=None):
        """Which entries of a weight are in the network, axis by axis.

        Args:
            weight: A `WeightAxes`.
            structure: A `Structure`.
            present: `present_layers(structure.gates)`, where known already.

        Returns:
            A tuple with one sorted integer array per axis.
        """
        if present is None:
            present = self.present_layers(structure.gates)
        is_present = present[self.layer_index(weight.layer)]
        active = np.append(structure.units, True)
        elastic = self.elastic_axes(weight)
        result = []
        for axis, size in enumerate(weight.full_shape):
            if axis not in elastic:
                result.append(np.arange(size))
            elif is_present:
                result.append(np.flatnonzero(active[weight.units[axis]]))
            else:
                result.append(np.zeros(0, dtype=int))
        return tuple(result)

"""The network as it is at one moment, on the device and in host memory."""

import contextlib

import numpy as np

from keras_growprune import backend
from keras_growprune import keras_internals
from keras_growprune.growth import GrowthState
from keras_growprune.structure import Structure
from keras_growprune.structure import is_growable
from keras_growprune.training.call_plan import CallPlan
from keras_growprune.training.host_store import HostStore
from keras_growprune.training.norm_statistics import NormStatistics
from keras_growprune.training.one_trace import OneTrace
from keras_growprune.training.present_constants import PresentConstants
from keras_growprune.training.saliency_meter import SaliencyMeter
from keras_growprune.training.shared_lock import SharedLock
from keras_growprune.training.trained_gates import TrainedGates


class GrowingNetwork:
    """Owner of the present structure, and of all that must agree with it.

    Only a `Change` gives the network another structure.

    Args:
        blueprint: The `Blueprint`.
        seed: Integer, of all random numbers.
        name: Name of the model.

    Attributes:
        state: The `GrowthState`: the structure, and what is known about it.
        store: The `HostStore`, what is not on the device.
        one_trace: The `OneTrace`.
        constants: The `PresentConstants`.
        plan: The `CallPlan`, which layers are called.
        meter: The `SaliencyMeter`.
        norms: The `NormStatistics`.
        gates: The `TrainedGates`.
        gates_on: Vector on the device, which gated layers are on.
        resized: How often variables of known sizes were replaced.
        lock: The `SharedLock`: who calls the network shares it, who changes
            it has it alone.
    """

    def __init__(self, blueprint, seed, name):
        self.blueprint = blueprint
        self.name = name
        self._map = blueprint.map
        self.state = GrowthState(
            np.ones(self._map.unit_count, bool),
            np.ones(len(self._map.gates), bool),
            seed,
        )
        self._structure = None
        self.lock = SharedLock()
        self.resized = 0
        self.store = HostStore(self._map)
        self.one_trace = OneTrace(self._map)
        self.constants = PresentConstants(self)
        self.gates_on = backend.IndexVector("gates_on")
        self.gates = TrainedGates(
            blueprint.rule, self._map.unit_count, len(self._map.gates)
        )
        self.plan = CallPlan(self, self.gates)
        self.meter = SaliencyMeter(self)
        self.norms = NormStatistics(self._map.layers)

    @property
    def structure(self):
        """The present `Structure`."""
        now = self._structure
        if now is None or now[0] != (id(self.state), id(self.state.units)):
            key = id(self.state), id(self.state.units)
            now = (
                key,
                Structure(
                    self.state.units,
                    self.state.gates,
                    tuple(
                        (group.name, group.size) for group in self._map.groups
                    ),
                    tuple(gate.name for gate in self._map.gates),
                ),
            )
            self._structure = now
        return now[1]

    @property
    def present_layers(self):
        return self._map.present_layers(self.state.gates)

    def is_present(self, layer):
        """Whether a layer is called at present."""
        return bool(self.present_layers[self._map.layer_index(layer)])

    def has_been(self, gate):
        """Whether a gated layer was ever in the network, with its weights."""
        if self.state.gate_ages[gate]:
            return True
        on = np.ones(len(self._map.gates), bool)
        off = np.arange(len(on)) != gate
        leaves = self._map.present_layers(on) & ~self._map.present_layers(off)
        return any(
            self.store.was_drawn(index)
            for index, weight in enumerate(self._map.weights)
            if leaves[self._map.layer_index(weight.layer)]
        )

    def widths(self):
        return self._map.widths(self.state.units)

    def fractions(self):
        """Cost, FLOPs and parameters as fractions of the full network's."""
        return self.blueprint.fractions(self.widths(), self.state.gates)

    def trace_key(self):
        """Functions traced under equal keys are the same.

        Where a trace cannot serve all widths, each change has a key of its own.
        """
        measures = not self.state.settled and self.meter.needs_factors()
        key = (
            self.present_layers.tobytes(),
            self.state.gates.tobytes(),
            self.plan.gates_are_soft,
            measures,
        )
        if not self.one_trace:
            # Not the widths: variables that were replaced are gone.
            key += (self.resized,)
        if self.gates and self.state.settled:  # their factors are constants
            scales = self.state.scales, self.state.gate_scales
            key += tuple(each.tobytes() for each in scales)
        return key

    def attach_optimizer(self, optimizer):
        """Starts to carry the state of a built optimizer along."""
        if self.store.optimizer is optimizer:
            return
        self.store.attach(optimizer)
        self.one_trace.check_optimizer(optimizer)
        keras_internals.carry_accumulators(optimizer)
        keras_internals.reduce_at_most_once(optimizer)
        for index, weight in enumerate(self._map.weights):
            for _, slot in self.store.slot_variables(index):
                self.one_trace.make_elastic(weight, slot)

    def set_state(self, transaction, state):
        """Gives the network another state, whose structure it has.

        Args:
            transaction: The `Transaction` that it is part of.
            state: The new `GrowthState`.
        """
        before = self.state

        def put(state):
            self.state = state

        transaction.do(lambda: put(state), undo=lambda: put(before))

    def scale_weights(self, transaction, point, factors):
        """Scales weights as if outputs were scaled.

        Args:
            transaction: The `Transaction` that it is part of.
            point: A `FactorPoint` whose weights can take factors in.
            factors: One factor per channel in the network.
        """
        for index, weight in enumerate(self._map.weights):
            name = weight.attribute
            if weight.layer is not point.layer or name not in point.weights():
                continue
            for variable in (weight.variable, *self.store.copies(index)):
                value = variable.numpy()
                if not value.size:
                    continue
                along = point.along_output(name, factors.astype(value.dtype))
                transaction.do(
                    lambda v=variable, new=value * along: v.assign(new),
                    undo=lambda v=variable, old=value: v.assign(old),
                )

    def full_attributes(self):
        """Inside, layers tell the full network's shape, as files do."""
        return _full_attributes(self._map)

    def show(self, structure):
        """Lets layers, symbolic tensors and traces tell the present widths."""
        present = self._map.present_layers(structure.gates)
        self._show_in_graph(structure, present)
        for attribute in self._map.attributes:
            layer = attribute.layer
            if present[self._map.layer_index(layer)]:
                value = attribute.value(structure.units)
                setattr(layer, attribute.name, value)
            elif is_growable(layer):
                setattr(layer, attribute.name, 0)
        self.one_trace.set_widths(structure)
        self.constants.show(structure)
        self.plan.set_entries(structure)
        self.meter.set_positions(structure)
        self.gates_on.assign(structure.gates)

    def _show_in_graph(self, structure, present):
        active = np.append(structure.units, True)
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
            _refresh_input_spec(call, widths)
            if is_present:
                shape = call.outputs[0].shape
                keras_internals.refresh_target_shape(call.operation, shape)


@contextlib.contextmanager
def _full_attributes(channel_map):
    before = [
        (each.layer, each.name, getattr(each.layer, each.name))
        for each in channel_map.attributes
    ]
    everything = np.ones(channel_map.unit_count, bool)
    for each in channel_map.attributes:
        setattr(each.layer, each.name, each.value(everything))
    layers = [call.layer for call in channel_map.calls]
    try:
        with keras_internals.as_written(layers + channel_map.layers):
            yield
    finally:
        for layer, name, value in before:
            setattr(layer, name, value)


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

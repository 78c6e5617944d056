"""Full-size copies of all weights and optimizer slots in host memory."""

import copy

import keras
import numpy as np

from keras_growprune import keras_internals
from keras_growprune.structure import axes_of
from keras_growprune.structure import initial_values
from keras_growprune.structure.propagation import MIXING


class HostStore:
    """Keeps what is not in the network: dormant weights and their slots.

    Entries of a kernel whose two units were never in the network together are
    zero, so that neither a newcomer nor a unit that comes back moves the
    outputs of the units that stayed.

    What nothing trains is given by the user: layers that are frozen when the
    store is made keep all the values that they have.

    Args:
        channel_map: A `ChannelMap`; its weights hold their initial values.
    """

    def __init__(self, channel_map):
        self._map = channel_map
        self._own = None
        self.values = []
        self.drawn = []
        self._given = []
        self.slots = {}
        # Slots that are copies of the weights, not functions of gradients: a
        # newcomer's starts at the newcomer's own value.
        self._copies = set()
        self._slot_variables = [{} for _ in channel_map.weights]
        self._optimizer = None
        for weight in channel_map.weights:
            value = weight.variable.numpy()
            labelled = sum(units is not None for units in weight.units)
            is_given = not weight.layer.trainable
            is_state = self.is_state(weight) and not is_given
            is_kernel = value.ndim > 1 and labelled > 0
            is_kernel = is_kernel and not is_state and not is_given
            self._given.append(is_given)
            self.values.append(np.zeros_like(value) if is_state else value)
            axis = self._drawn_axis(weight)
            self.drawn.append(
                np.zeros(value.shape[axis], dtype=bool) if is_kernel else None
            )

    def draft(self):
        """A store that can be changed without changing this one.

        What it does not change, the two have in common.
        """
        draft = copy.copy(self)
        draft.values, draft.drawn = list(self.values), list(self.drawn)
        draft.slots, draft._own = dict(self.slots), set()
        return draft

    def finished(self):
        """The draft, as a store that is written to in place."""
        self._own = None
        return self

    def _writable(self, arrays, key):
        """An array of this store that may be written to."""
        if self._own is not None and (id(arrays), key) not in self._own:
            self._own.add((id(arrays), key))
            arrays[key] = arrays[key].copy()
        return arrays[key]

    @staticmethod
    def is_state(weight):
        """Whether steps change a weight without training it."""
        return weight.attribute in axes_of(weight.layer).states

    @staticmethod
    def _drawn_axis(weight):
        """Axis of the units that own the weight's initial values."""
        if "out" in weight.labels:
            return weight.labels.index("out")
        return weight.labels.index("in") if "in" in weight.labels else 0

    def attach(self, optimizer):
        """Starts to keep the per-variable state of a built optimizer."""
        if self._optimizer is optimizer:
            return
        keras_internals.check_optimizer_can_be_carried(optimizer)
        parts = keras_internals.optimizers_in(optimizer)
        starts = [keras_internals.slot_starts(part) for part in parts]
        self._optimizer = optimizer
        self.slots, self._copies = {}, set()
        self._slot_variables = [{} for _ in self._map.weights]
        index_of = {
            id(weight.variable): index
            for index, weight in enumerate(self._map.weights)
        }
        for part, start in zip(parts, starts):
            owners = [
                index_of.get(id(variable))
                for variable in keras_internals.optimizer_variables(part)
            ]
            for name, slots in keras_internals.optimizer_slots(part).items():
                for owner, variable in zip(owners, slots):
                    if owner is None or variable is None:
                        continue
                    if not len(variable.shape):  # the same for all units
                        continue
                    self._slot_variables[owner][name] = variable
                    self._start_slot(name, owner, start[name])

    def _start_slot(self, name, owner, start):
        if start == keras_internals.COPY:
            self._copies.add((name, owner))
            self.slots[name, owner] = self.values[owner].copy()
        else:
            self.slots[name, owner] = np.full_like(self.values[owner], start)

    @property
    def optimizer(self):
        return self._optimizer

    def slot_variables(self, index):
        """`(name, variable)` of each slot of one weight."""
        return self._slot_variables[index].items()

    def read(self, index, entries):
        """Copies a weight and its slots from the device to the host.

        Also into what a draft has in common with its origin: of what is on
        the device, the store knows nothing better.

        Returns:
            `(value, {slot name: value})`, as they are on the device.
        """
        where = np.ix_(*entries)
        read = keras_internals.read_variable
        is_state = self.is_state(self._map.weights[index])
        if is_state and not self._given[index]:
            self.values[index][...] = 0  # what left is out of date
        value = read(self._map.weights[index].variable)
        self.values[index][where] = value
        slots = {}
        for name, slot in self.slot_variables(index):
            slots[name] = read(slot)
            self.slots[name, index][where] = slots[name]
        return value, slots

    def active(self, index, entries):
        """Values that a weight and its slots have on the device.

        Returns:
            `(value, {slot name: value})`.
        """
        where = np.ix_(*entries)
        slots = {
            name: self.slots[name, index][where]
            for name, _ in self.slot_variables(index)
        }
        return self.values[index][where], slots

    def has_newcomers(self, index, entries):
        """Whether a weight has active units that were never drawn."""
        drawn = self.drawn[index]
        axis = self._drawn_axis(self._map.weights[index])
        return drawn is not None and not drawn[entries[axis]].all()

    def was_drawn(self, index):
        """Whether units of a weight ever were in the network."""
        drawn = self.drawn[index]
        return drawn is not None and bool(drawn.any())

    def draw_newcomers(self, index, entries, random):
        """Draws initial weights of units that were never in the network.

        They come from the layer's own initializer at the present fan-in.

        Args:
            index: Index of the weight.
            entries: Its active entries, one integer array per axis.
            random: A `numpy.random.Generator`.
        """
        weight = self._map.weights[index]
        axis = self._drawn_axis(weight)
        if self.drawn[index] is None or 0 in [len(each) for each in entries]:
            return
        if not self.has_newcomers(index, entries):
            return
        drawn = self._writable(self.drawn, index)
        new = ~drawn[entries[axis]]
        if not drawn.any():
            if self.values[index].shape == tuple(len(each) for each in entries):
                drawn[:] = True  # starts at full width: the weights it has
                return
            self._writable(self.values, index)[...] = 0
        initializer = axes_of(weight.layer).initializer(
            weight.layer, weight.attribute
        )
        # A layer without an initializer of its own has Keras's default.
        initializer = initializer or keras.initializers.GlorotUniform()
        values = initial_values(
            _reseeded(initializer, random),
            weight.full_shape,
            entries,
            weight.variable.dtype,
        )
        chosen = list(entries)
        chosen[axis] = entries[axis][new]
        values = np.compress(new, values, axis=axis)
        self.put(index, np.ix_(*chosen), values)
        drawn[entries[axis]] = True
        is_mixing = axes_of(weight.layer).channels in MIXING
        if is_mixing and "out" not in weight.labels:
            # It only reads units, also those that come later: from zero.
            drawn[:] = True

    def keep(self, index, entries):
        """Keeps a part of the weights there are, the rest becomes new.

        Args:
            index: Index of the weight.
            entries: The entries to keep, one integer array per axis.
        """
        if self._given[index]:
            return
        weight = self._map.weights[index]
        fresh = np.zeros_like(self.values[index])
        if self.drawn[index] is None:
            initializer = axes_of(weight.layer).initializer(
                weight.layer, weight.attribute
            )
            if initializer is not None:
                fresh = np.array(initializer(fresh.shape, dtype=fresh.dtype))
        else:
            axis = self._drawn_axis(weight)
            self.mark_drawn(index, entries[axis])
        where = np.ix_(*entries)
        fresh[where] = self.values[index][where]
        self.values[index] = fresh

    def clear(self, index):
        """Sets a weight to zero for all units, as if it were new.

        One that the user gave stays.
        """
        self.put(index, ..., np.zeros((), self.values[index].dtype))

    def put(self, index, where, values):
        """Gives entries of a weight initial values of their own.

        One that the user gave stays.
        """
        if self._given[index]:
            return
        self._writable(self.values, index)[where] = values
        for name, _ in self.slot_variables(index):
            if (name, index) in self._copies:
                self._writable(self.slots, (name, index))[where] = values

    def copies(self, index):
        """Variables of slots that are copies of a weight."""
        return [
            variable
            for name, variable in self.slot_variables(index)
            if (name, index) in self._copies
        ]

    def mark_drawn(self, index, units):
        """Notes that units of a weight have values of their own."""
        if self.drawn[index] is not None:
            self._writable(self.drawn, index)[units] = True

    def dormant(self):
        """A copy of all weights that are kept, without slots."""
        copies = [value.copy() for value in self.values]
        drawn = [None if d is None else d.copy() for d in self.drawn]
        return copies, drawn

    def take_dormant(self, dormant):
        """Takes over what `dormant` returned."""
        self.values[:], self.drawn[:] = copy.deepcopy(dormant)

    def to_arrays(self):
        """Returns all that is kept as a dict of NumPy arrays."""
        result = {}
        for index, (value, drawn) in enumerate(zip(self.values, self.drawn)):
            result[f"weight.{index}"] = value
            if drawn is not None:
                result[f"drawn.{index}"] = drawn
        for (name, index), value in self.slots.items():
            result[f"slot.{name}.{index}"] = value
        return result

    def from_arrays(self, arrays):
        """Takes over what `to_arrays` returned.

        Slots are taken where an optimizer with such slots is attached.
        """
        for index in range(len(self.values)):
            self.values[index][...] = arrays[f"weight.{index}"]
            if self.drawn[index] is not None:
                self.drawn[index][...] = arrays[f"drawn.{index}"]
        for (name, index), value in self.slots.items():
            key = f"slot.{name}.{index}"
            if key in arrays:
                value[...] = arrays[key]


def _reseeded(initializer, random):
    # Keras's random initializers draw the same numbers at every call, and a
    # reloaded one has no seed: newcomers get a seed of this run's own.
    if hasattr(initializer, "get_config"):
        config = initializer.get_config()
        if "seed" in config:
            config["seed"] = int(random.integers(2**31 - 1))
            return type(initializer).from_config(config)
    return initializer

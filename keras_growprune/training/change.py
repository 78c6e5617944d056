"""A change of structure, prepared aside, then done whole or not at all."""

import numpy as np

from keras_growprune import backend
from keras_growprune import keras_internals
from keras_growprune.structure import candidate_columns


class Change:
    """Moves a network from its present structure to another one.

    Preparing changes nothing: what is on the device is copied to a draft of
    the host store, newcomers are drawn there, and all new values are computed.
    `commit` then does steps that can be undone.

    Args:
        network: The `GrowingNetwork`.
        structure: The new `Structure`.

    Attributes:
        is_needed: Whether anything changes at all.
    """

    def __init__(self, network, structure):
        self._network = network
        self._map = network.blueprint.map
        self._structure = structure
        self._store = network.store.draft()
        self._old = self._entries(network.structure)
        self._new = self._entries(structure)
        self._plan = []
        self.is_needed = structure != network.structure

    def prepare(self, random=None, new_gates=None, keep=False):
        """Computes all values of the new structure.

        Args:
            random: A `numpy.random.Generator` for newcomers, or None to draw
                none (when weights are loaded afterwards).
            new_gates: Maps indices of gates that are on for the first time to
                mean and variance of each channel of their shortcuts at full
                width (or to None where unknown). Their branches start so that
                the layer is the identity.
            keep: Whether all that there is counts as drawn, and everything
                else becomes new: for the first structure of a trained network.
        """
        changed = self._changed(draws=random is not None)
        before = {i: self._store.read(i, self._old[i]) for i in changed}
        if keep:
            for index, entries in enumerate(self._new):
                self._store.keep(index, entries)
        for gate, statistics in (new_gates or {}).items():
            self._make_identity(gate, statistics)
        if random is not None:
            for index, entries in enumerate(self._new):
                self._store.draw_newcomers(index, entries, random)
        for index in changed:
            value, slots = self._store.active(index, self._new[index])
            old_value, old_slots = before[index]
            weight = self._map.weights[index]
            own = self._of_each_replica(index, value)
            old_value, value = own or (old_value, value)
            self._plan.append((weight, weight.variable, old_value, value))
            for name, slot in self._store.slot_variables(index):
                self._plan.append((weight, slot, old_slots[name], slots[name]))
        self.is_needed = self.is_needed or bool(changed)

    def commit(self, transaction):
        """Does it.

        Args:
            transaction: The `Transaction` that it is part of.
        """
        network, before = self._network, self._network.structure
        if network.one_trace:
            for weight, variable, old, new in self._plan:
                if network.one_trace.needs_elastic(weight, variable):
                    self._make_elastic(transaction, weight, variable, old, new)
                else:
                    _assign(transaction, variable, old, new)
        else:
            self._resize(transaction)
        transaction.do(
            lambda: network.show(self._structure),
            undo=lambda: network.show(before),
        )
        old_store = network.store

        def set_store(store):
            network.store = store

        transaction.do(
            lambda: set_store(self._store.finished()),
            undo=lambda: set_store(old_store),
        )

    def _make_elastic(self, transaction, weight, variable, old, new):
        """The same, of a variable that has a known size so far."""
        several = isinstance(new, list)
        first, before = (new[0], old[0]) if several else (new, old)
        make = self._network.one_trace.make_elastic
        transaction.do(
            lambda: make(weight, variable, first),
            undo=lambda: keras_internals.assign_elastic(variable, before),
        )
        if several:
            _assign(transaction, variable, old, new)

    def _resize(self, transaction):
        """The same with new TensorFlow variables, of known sizes."""
        optimizer = self._store.optimizer
        index = keras_internals.OptimizerIndex([optimizer] if optimizer else [])
        replaced = []
        transaction.do(lambda: None, undo=index.renew)
        for _, variable, _, new in self._plan:
            raw = variable.value
            transaction.do(
                lambda v=variable, n=new: keras_internals.resize_variable(v, n),
                undo=lambda v=variable, r=raw: keras_internals.restore_variable(
                    v, r
                ),
            )
            replaced.append(raw)
        index.renew()
        self._network.resized += 1  # never the same again, also if undone
        # Nobody needs them, once all is done.
        transaction.at_the_end(lambda: [backend.free(raw) for raw in replaced])

    def _entries(self, structure):
        present = self._map.present_layers(structure.gates)
        return [
            self._map.indices(weight, structure, present)
            for weight in self._map.weights
        ]

    def _changed(self, draws):
        """Indices of weights that get other entries, or newly drawn ones."""
        return [
            index
            for index, (before, after) in enumerate(zip(self._old, self._new))
            if not all(map(np.array_equal, before, after))
            or (draws and self._store.has_newcomers(index, after))
        ]

    def _of_each_replica(self, index, value):
        """What each replica has alone, and what becomes of it.

        States that are carried from batch to batch, say.

        Args:
            index: Index of a weight.
            value: Its new value, of units that come.

        Returns:
            `(old values, new values)`, or None where all have the same.
        """
        weight = self._map.weights[index]
        is_alone = len(backend.copies_of(weight.variable.value)) == 1
        if is_alone or not self._store.is_state(weight):
            return None
        before = keras_internals.read_copies(weight.variable)
        if all(np.array_equal(before[0], each) for each in before[1:]):
            return None
        old, new = self._old[index], self._new[index]
        after = []
        for each in before:
            whole = np.zeros(weight.full_shape, each.dtype)
            whole[np.ix_(*new)] = value
            whole[np.ix_(*old)] = each
            after.append(whole[np.ix_(*new)])
        return before, after

    def _make_identity(self, gate, statistics):
        """Lets a layer that comes for the first time change nothing."""
        blueprint = self._network.blueprint
        self._silence(blueprint.branch_points[gate])
        for layer in blueprint.recurrent_ends[gate]:
            self._silence_recurrent(layer)
        if blueprint.identities[gate] is not None:
            self._repeat_input(blueprint.identities[gate], statistics)

    def _silence(self, point):
        names = point.weights()
        for index, weight in enumerate(self._map.weights):
            if weight.layer is point.layer and weight.attribute in names:
                self._store.clear(index)
                self._store.mark_drawn(index, slice(None))

    def _silence_recurrent(self, layer):
        """Makes a recurrent layer return zeros."""
        units = self._map.units_of(layer)
        active = np.append(self._structure.units, True)
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
            self._store.mark_drawn(index, columns[here])

    def _repeat_input(self, branch, statistics):
        """Makes the branch of a skip return what goes into it."""
        active = np.append(self._structure.units, True)
        here = np.flatnonzero(active[branch.units])
        for index, weight in enumerate(self._map.weights):
            name = weight.attribute
            if weight.layer is branch.mixer:
                self._store.clear(index)
                if name == "kernel":
                    center = [size // 2 for size in weight.full_shape[:-2]]
                    self._store.put(index, (*center, here, here), 1.0)
                    self._store.mark_drawn(index, here)
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


def _assign(transaction, variable, old, new):
    if isinstance(new, list):  # of each replica
        transaction.do(
            lambda: keras_internals.assign_copies(variable, new),
            undo=lambda: keras_internals.assign_copies(variable, old),
        )
        return
    if not keras_internals.is_elastic(variable):  # its size never changes
        transaction.do(
            lambda: variable.assign(new), undo=lambda: variable.assign(old)
        )
        return
    transaction.do(
        lambda: keras_internals.assign_elastic(variable, new),
        undo=lambda: keras_internals.assign_elastic(variable, old),
    )

"""Constants of the graph, sliced for the channels that are there."""

from keras import ops

from keras_growprune import backend
from keras_growprune import keras_internals


class PresentConstants:
    """What takes the place of constants in calls: positions, say.

    A function that serves all widths picks the entries that a vector on the
    device names; everywhere else the slice itself is a constant.

    Args:
        network: The `GrowingNetwork`.
    """

    def __init__(self, network):
        self._network = network
        self._map = network.blueprint.map
        self._vectors = {
            id(constant): backend.IndexVector("entries_of_constant")
            for constant in self._map.constants
        }
        self.show(network.structure)

    def show(self, structure):
        """Tells traced functions which channels a structure has."""
        for constant in self._map.constants:
            entries = constant.entries(structure.units)
            self._vectors[id(constant)].assign(entries)

    def put_into(self, call):
        """The call with constants that have the channels that are there."""
        return self._map.with_constants(call, self._part)

    def _part(self, constant):
        network = self._network
        if network.one_trace and keras_internals.widths_are_unknown():
            entries = self._vectors[id(constant)].value()
            return ops.take(constant.value, entries, axis=constant.axis)
        return constant.part(network.structure.units)

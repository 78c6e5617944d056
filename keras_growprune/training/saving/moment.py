"""What a growing network was at one moment, kept in memory."""

import numpy as np

from keras_growprune.structure import Structure


class Moment:
    """The structure of one moment, and all that goes with it.

    The weights in the network are not part of it, nor is the state of the
    optimizer: who keeps those gives them back.

    Args:
        controller: The `GrowthController`.
    """

    def __init__(self, controller):
        network = controller.network
        network.gates.pull(network.state)
        self.state = network.state.copy()
        self.dormant = network.store.dormant()
        self.norms = network.norms.to_arrays()
        self.full_shapes = _full_shapes(controller)

    @property
    def structure(self):
        return Structure(self.state.units, self.state.gates)

    def fits(self, controller):
        """Whether it is a moment of such a network."""
        state = controller.state
        return (
            self.full_shapes == _full_shapes(controller)
            and self.state.units.shape == state.units.shape
            and self.state.gates.shape == state.gates.shape
        )

    def return_to(self, controller, as_if_not_been=False):
        """Gives the network the structure and what is known about it.

        Args:
            controller: The `GrowthController`.
            as_if_not_been: Whether nothing was trained since. Else how long
                has been trained, and for how long to go on, stays.
        """
        now, state = controller.state, self.state.copy()
        for name in ("period", "periods", "parts", "random"):
            if not as_if_not_been:
                setattr(state, name, getattr(now, name))
        controller.restore(state)
        network = controller.network
        network.store.take_dormant(self.dormant)
        network.norms.from_arrays(self.norms)
        network.gates.push(state)


def _full_shapes(controller):
    return [
        tuple(map(int, weight.full_shape))
        for weight in controller.blueprint.map.weights
    ]


class WeightList(list):
    """What `get_weights` of a growing model returns.

    A list of arrays, as Keras has it, that knows to which structure they
    belong. So `set_weights` brings both back.

    Attributes:
        moment: The `Moment`.
    """

    def __init__(self, values, moment):
        super().__init__(values)
        self.moment = moment


class StateTree(dict):
    """What `get_state_tree` of a growing model returns.

    Attributes:
        moment: The `Moment`.
    """

    def __init__(self, values, moment):
        super().__init__(values)
        self.moment = moment


def shapes_at(controller, structure, variables):
    """The shapes that variables have in a network of some structure."""
    channel_map = controller.blueprint.map
    present = channel_map.present_layers(structure.gates)
    shapes = {
        id(weight.variable): tuple(
            len(entries)
            for entries in channel_map.indices(weight, structure, present)
        )
        for weight in channel_map.weights
    }
    return [shapes.get(id(v), tuple(v.shape)) for v in variables]


def shapes_of(values):
    return [tuple(np.shape(value)) for value in values]

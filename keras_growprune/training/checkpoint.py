"""Everything that growing remembers, as arrays in a model's file."""

import numpy as np

from keras_growprune.growth import GrowthState

_STATE = "state."


def to_arrays(controller):
    """Returns it as a dict of NumPy arrays.

    Args:
        controller: The `GrowthController`.
    """
    network = controller.network
    network.gates.pull(network.state)
    state = network.state.to_arrays()
    return {
        **{_STATE + name: value for name, value in state.items()},
        **network.store.to_arrays(),
        **network.meter.to_arrays(),
        **network.norms.to_arrays(),
        **controller.ledger.to_arrays(),
    }


def from_arrays(controller, arrays):
    """Takes over what `to_arrays` returned; weights are loaded later.

    Args:
        controller: The `GrowthController` of a model with the same layers.
        arrays: A mapping.

    Raises:
        ValueError: If the arrays are those of another network.
    """
    arrays = {key: np.array(arrays[key]) for key in arrays.keys()}
    network = controller.network
    state = GrowthState.from_arrays(
        {
            key[len(_STATE) :]: value
            for key, value in arrays.items()
            if key.startswith(_STATE)
        }
    )
    expected = (network.state.units.shape, network.state.gates.shape)
    if (state.units.shape, state.gates.shape) != expected:
        raise ValueError(
            "The saved network has other growable layers than this one. "
            f"Expected: {expected[0][0]} units and {expected[1][0]} gated "
            f"layers. Received: {len(state.units)} and {len(state.gates)}."
        )
    controller.restore(state)
    network.store.from_arrays(arrays)
    network.meter.from_arrays(arrays)
    network.norms.from_arrays(arrays)
    network.gates.push(state)
    controller.ledger.from_arrays(arrays)

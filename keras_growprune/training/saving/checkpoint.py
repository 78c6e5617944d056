"""Everything that growing remembers, as entries of a model's file."""

import contextlib

import numpy as np

from keras_growprune import keras_internals
from keras_growprune.growth import GrowthState
from keras_growprune.training.saving import file_format

_STATE, _SEEDS, _MOMENTS = "state.", "seeds", "moments."


def to_entries(controller):
    """Returns it as a dict of NumPy arrays, by names.

    Args:
        controller: The `GrowthController`.
    """
    return file_format.named(to_arrays(controller), controller.network)


def from_entries(controller, entries):
    """Takes over what `to_entries` returned; weights are loaded later.

    Args:
        controller: The `GrowthController` of a model with the same layers.
        entries: A mapping, also one that an older version wrote.

    Raises:
        ValueError: If they are those of another network, of a newer format,
            or damaged. Nothing is changed then.
    """
    entries = {key: np.array(entries[key]) for key in entries.keys()}
    from_arrays(controller, file_format.numbered(entries, controller.network))


def to_arrays(controller):
    """Returns it as a dict of NumPy arrays, by this network's numbers.

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
        **_moments(controller),
        _SEEDS: _seeds(controller.model),
    }


def from_arrays(controller, arrays):
    """Takes over what `to_arrays` of the same network returned."""
    network = controller.network
    state = GrowthState.from_arrays(
        {
            key.removeprefix(_STATE): value
            for key, value in arrays.items()
            if key.startswith(_STATE)
        }
    )
    controller.restore(state)
    network.store.from_arrays(arrays)
    network.meter.from_arrays(arrays)
    network.norms.from_arrays(arrays)
    network.gates.push(state)
    controller.ledger.from_arrays(arrays)
    controller.saved_moments = {
        int(key.removeprefix(_MOMENTS)): value
        for key, value in arrays.items()
        if key.startswith(_MOMENTS)
    }
    seeds = arrays.get(_SEEDS, ())  # a file of before has none
    states = keras_internals.seed_states(controller.model)
    if len(seeds) == len(states):
        for variable, value in zip(states, seeds):
            variable.assign(value)


@contextlib.contextmanager
def unchanged_on_error(controller):
    """Inside, whatever breaks off leaves the model as it was.

    Keras goes on to load layer by layer after one of them was refused.

    Args:
        controller: The `GrowthController`.
    """
    arrays = to_arrays(controller)
    arrays = {key: np.array(value) for key, value in arrays.items()}
    variables = _all_variables(controller.model)
    values = [keras_internals.read_copies(each) for each in variables]
    try:
        yield
    except BaseException:
        from_arrays(controller, arrays)
        for variable, copies in zip(variables, values):
            keras_internals.assign_copies(variable, copies)
        raise


def _moments(controller):
    """What the next period needs of the examples of the last one."""
    state = controller.state
    if state.settled:
        return {}
    found = controller.shortcut_moments(~state.gates)
    return {
        f"{_MOMENTS}{gate}": np.array(moments, dtype="float64")
        for gate, moments in found.items()
        if moments is not None
    }


def _seeds(model):
    """Where the random numbers of dropout and the like are."""
    states = [each.numpy() for each in keras_internals.seed_states(model)]
    return np.array(states, dtype="int64").reshape(len(states), 2)


def _all_variables(model):
    found = list(model.variables)
    if model.compiled:
        found += model.metrics_variables
        for optimizer in (model.optimizer, model.gate_optimizer):
            for part in keras_internals.optimizers_in(optimizer):
                found += part.variables
    return list({id(variable): variable for variable in found}.values())

"""A compact network that trains on where the growing one was."""

import collections
import inspect

import keras

from keras_growprune import keras_internals


class CompileArguments:
    """What a model was compiled with, to compile others alike.

    The optimizer is not among it.

    Args:
        *args, **kwargs: As in `keras.Model.compile`.

    Example:

    ```python
    arguments = kgp.export.CompileArguments(loss="mse", metrics=["mae"])
    arguments.compile(network, keras.optimizers.Adam())
    network.compiled  # True
    ```
    """

    def __init__(self, *args, **kwargs):
        bound = inspect.signature(keras.Model.compile).bind(
            None, *args, **kwargs
        )
        self._arguments = dict(bound.arguments)
        self._arguments.pop("self")
        self._arguments.pop("optimizer", None)

    @property
    def loss_weights(self):
        """As in `keras.Model.compile`, None where it was not given."""
        return self._arguments.get("loss_weights")

    def compile(self, model, optimizer):
        """Compiles a model; its metrics are new ones, and count from zero.

        Args:
            model: A `keras.Model`.
            optimizer: A `keras.optimizers.Optimizer`, the model's own from
                now on.
        """
        arguments = {
            name: keras.tree.map_structure(_new, value)
            if "metrics" in name
            else value
            for name, value in self._arguments.items()
        }
        model.compile(optimizer=optimizer, **arguments)


def _new(value):
    return _remade(value) if isinstance(value, keras.Metric) else value


def _remade(value):
    """A new optimizer or metric of the same settings."""
    try:
        return type(value).from_config(value.get_config())
    except Exception as error:  # whatever a class of a user raises
        raise ValueError(
            f"The compact network needs a {type(value).__name__} of its own, "
            "which cannot be made: `get_config` must return all arguments of "
            "the constructor, and `from_config` take them, of schedules too. "
            f"Received: {type(error).__name__}: {error}. Or call `compact()` "
            "and compile it yourself."
        ) from error


def compile_alike(model, plain, arguments):
    """Compiles the compact network, with the state of the optimizer.

    Args:
        model: The growing model, compiled; its optimizer is built.
        plain: Its compact network.
        arguments: Its `CompileArguments`.

    Raises:
        ValueError: If the optimizer, or a metric, cannot be made anew of its
            config.

    Example:

    `model.compact(compiled=True)` does both steps.

    ```python
    model.fit(images, labels, epochs=5)
    small = model.compact()
    kgp.export.compile_alike(model, small, model.compile_arguments)
    small.fit(images, labels, epochs=1)  # trains on
    ```
    """
    old = model.optimizer
    new = _remade(old)
    arguments.compile(plain, new)
    new.build(plain.trainable_variables)
    twins = _twins(model, plain)
    for before, after in zip(
        keras_internals.optimizers_in(old), keras_internals.optimizers_in(new)
    ):
        _copy_state(before, after, twins)


def _twins(model, plain):
    """The growing model's variable of each of the compact one's, by `id`."""
    known = {layer.name: _named(layer) for layer in model.layers}
    return {
        id(variable): known[layer.name][key]
        for layer in plain.layers
        for key, variable in _named(layer).items()
        if key in known.get(layer.name, ())
    }


def _named(layer):
    """Variables of a layer by name, and how many had the name before."""
    count = collections.Counter()
    named = {}
    for variable in layer.weights:
        named[variable.name, count[variable.name]] = variable
        count[variable.name] += 1
    return named


def _copy_state(before, after, twins):
    old_slots, new_slots = (
        keras_internals.optimizer_slots(each) for each in (before, after)
    )
    places = {
        id(variable): index
        for index, variable in enumerate(
            keras_internals.optimizer_variables(before)
        )
    }
    for name, slots in new_slots.items():
        owners = keras_internals.optimizer_variables(after)
        for owner, slot in zip(owners, slots):
            place = places.get(id(twins.get(id(owner))))
            if slot is None or place is None:
                continue
            value = keras_internals.read_variable(old_slots[name][place])
            if value.shape == tuple(slot.shape):
                slot.assign(value)
    for old, new in zip(_others(before, old_slots), _others(after, new_slots)):
        new.assign(old.numpy())


def _others(optimizer, slots):
    """Variables that belong to no weight: counts, the learning rate."""
    own = {
        id(slot) for each in slots.values() for slot in each if slot is not None
    }
    inner = {
        id(variable)
        for part in keras_internals.optimizers_in(optimizer)
        if part is not optimizer
        for variable in part.variables
    }
    return [
        variable
        for variable in optimizer.variables
        if id(variable) not in own | inner
    ]

"""What layers and operations hold, and copies of them."""

import contextlib
import copy
import importlib
import types

import keras


def operation_name(operation):
    """Name of a class of `keras.ops`, or None for anything else."""
    kind = type(operation)
    is_ours = kind.__module__.startswith("keras.src.ops.")
    return kind.__name__ if is_ours else None


def clone_operation(operation, **attributes):
    """A copy of a stateless operation of `keras.ops`, called by nobody.

    Args:
        operation: The operation.
        **attributes: Arguments of its constructor that are to differ.
    """
    kind = type(operation)
    try:
        return kind(**{**operation.get_config(), **attributes})
    except (NotImplementedError, TypeError):
        # Its arguments are not kept. They are its attributes.
        clone = copy.copy(operation)
        clone._inbound_nodes, clone._outbound_nodes = [], []
        for name, value in attributes.items():
            setattr(clone, name, value)
        return clone


def layers_of_applications():
    """Layers that networks of `keras.applications` have of their own.

    Returns:
        Maps names to classes; those that this Keras has not are left out.
    """
    modules = {
        "LayerScale": "keras.src.applications.convnext",
        "StochasticDepth": "keras.src.applications.convnext",
        "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
    }
    found = {}
    for name, module in modules.items():
        try:
            found[name] = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    return found


def own_variables(layer):
    """Variables of a layer that do not belong to a layer inside it."""
    inside = {id(v) for part in parts(layer) for v in part.variables}
    return [v for v in layer.variables if id(v) not in inside]


def own_functions(layer, config):
    """Entries of a layer's config that are best taken as they are.

    Functions of the user's own, which may be registered nowhere, and an
    activation that is a layer without weights, which Keras 3.8 cannot load.
    """
    found = {}
    for name, value in vars(layer).items():
        if isinstance(value, types.FunctionType):
            as_is = not value.__module__.startswith("keras.")
        else:
            is_layer = isinstance(value, keras.layers.Layer)
            as_is = name == "activation" and is_layer and not value.weights
        if name in config and as_is:
            found[name] = value
    return found


def refresh_target_shape(layer, output_shape):
    """A `Reshape` of Keras 3.8 remembers the shape it was built for."""
    if hasattr(layer, "_resolved_target_shape"):
        layer._resolved_target_shape = tuple(
            -1 if size is None else size for size in output_shape[1:]
        )


@contextlib.contextmanager
def trusting(layer):
    """Inside, a layer's config may hold what the layer itself holds.

    Functions and classes that were never registered, lambdas too.
    """
    objects = {}
    for value in vars(layer).values():
        if isinstance(value, types.FunctionType):
            objects[value.__name__] = value
        elif hasattr(value, "get_config"):
            objects[type(value).__name__] = type(value)
    ours = {
        name: value
        for name, value in objects.items()
        if not value.__module__.startswith("keras.")
    }
    # Here, not above: an older Keras is to be refused by its version first.
    from keras.src.backend.common import global_state

    name = "safe_mode_saving"
    before = global_state.get_global_attribute(name)
    global_state.set_global_attribute(name, False)
    try:
        with keras.saving.custom_object_scope(ours):
            yield
    finally:
        global_state.set_global_attribute(name, before)


def parts(layer):
    """The layers that a layer has as its attributes."""
    return list(getattr(layer, "_layers", ()))


def all_layers(model):
    """All layers of a model, those of its parts included."""
    return list(model._flatten_layers(include_self=False))


def takes_training(operation):
    """Whether an operation's `call` has the argument `training`."""
    return bool(getattr(operation, "_call_has_training_arg", False))


def carried_states(model):
    """What recurrent layers carry from batch to batch, a list of variables.

    Keras does not count it among the variables of a model.
    """
    states = [getattr(each, "states", None) for each in all_layers(model)]
    return [
        state
        for state in keras.tree.flatten(states)
        if isinstance(state, keras.Variable)
    ]

"""The arguments of a layer, for the class of the other Keras."""

import inspect

import keras
import numpy as np

from keras_growprune.export.tf_keras_twin import tables
from keras_growprune.export.tf_keras_twin.graph import NoTwin

# Arguments that classes take as keywords, without naming them.
_TAKEN_BY_ALL = ("name", "dtype")
_RECURRENT = ("GRU", "LSTM", "RNN", "SimpleRNN")
_TAKEN_BY_RECURRENT = ("zero_output_for_mask",)


def class_of_twin(layer, source, target):
    """The class of the other Keras.

    Args:
        layer: A layer, or the cell of a recurrent one.
        source, target: The two packages, `keras` and `tf_keras`.

    Raises:
        NoTwin: If there is none.
    """
    name = type(layer).__name__
    if getattr(source.layers, name, None) is not type(layer):
        raise NoTwin("it is none of `keras.layers`")
    if name not in tables.LAYERS:
        raise NoTwin("the other Keras has no layer that computes the same")
    if getattr(layer, "quantization_mode", None) is not None:
        raise NoTwin("its weights are quantized: make the twin first")
    if getattr(layer, "lora_enabled", False):
        raise NoTwin("it has LoRA weights: merge them first, or save it")
    return getattr(target.layers, name)


def config_of_twin(layer, source, target):
    """Arguments of the twin's constructor, but for layers inside it.

    Args:
        layer: A layer, or the cell of a recurrent one.
        source, target: The two packages, `keras` and `tf_keras`.

    Returns:
        A dictionary.

    Raises:
        NoTwin: If the other class has no equal for one of them.
    """
    new_class = class_of_twin(layer, source, target)
    forward = target is not keras
    config = dict(layer.get_config())
    for name in ("layer", "backward_layer", "cell", "cells", "trainable"):
        config.pop(name, None)
    left_out = tables.LEFT_OUT.get(new_class.__name__)
    if left_out:
        config[left_out] = getattr(layer, left_out)
    old, new = tables.RENAMED.get(new_class.__name__, (None, None))
    if not forward:
        old, new = new, old
    if old in config:
        config[new] = config.pop(old)
    config["dtype"] = _policy(layer)
    taken = _taken(new_class)
    only = tables.ONLY_IN_KERAS_3 if forward else tables.ONLY_IN_TF_KERAS
    found = {}
    for name, value in config.items():
        value = _plain(layer, name, value)
        if name not in taken:
            _check_neutral(name, value, only)
        elif name.endswith("_initializer"):
            found.update(_initializer(name, value, target))
        elif name.endswith(("_regularizer", "_constraint")):
            found[name] = _kept(name, value, target)
        else:
            found[name] = value
    for name in ("activation", "recurrent_activation"):
        _check_activation(name, found.get(name, "linear"))
    if new_class is keras.layers.BatchNormalization:
        found["axis"] = _only_axis(found["axis"])
    return found


def _taken(new_class):
    """Names of the arguments that a class takes."""
    names = set(_TAKEN_BY_ALL)
    for each in new_class.__mro__:
        if "__init__" not in vars(each):
            continue
        parameters = inspect.signature(each.__init__).parameters
        names.update(parameters)
        if not any(x.kind is x.VAR_KEYWORD for x in parameters.values()):
            break
    if new_class.__name__ in _RECURRENT:
        names.update(_TAKEN_BY_RECURRENT)
    return names - {"self", "args", "kwargs", "weights"}


def _policy(layer):
    name = layer.dtype_policy.name
    if name not in tables.POLICIES:
        raise NoTwin(f"its dtype policy is `{name}`")
    return name


def _plain(layer, name, value):
    """A value of a config, in lists and numbers."""
    kind = type(layer).__name__
    # A config may hold arrays in a form of its own; the layer has them as is.
    if kind == "Rescaling" and name in ("scale", "offset"):
        value = getattr(layer, name)
    if kind == "Normalization" and name in ("mean", "variance"):
        value = getattr(layer, f"input_{name}")
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return type(value)(value) if type(value) in (list, tuple) else [*value]
    return value


def _check_neutral(name, value, only):
    neutral = only.get(name, None)
    same = np.all(np.equal(value, neutral)) if neutral == 1 else False
    if neutral is not tables.ANY and value != neutral and not same:
        raise NoTwin(f"the other Keras knows no `{name}={value!r}`")


def _check_activation(name, value):
    if not isinstance(value, str) or value not in tables.ACTIVATIONS:
        raise NoTwin(
            f"`{name}={value!r}` does not compute the same in the other Keras"
        )


def _initializer(name, value, target):
    """An entry for a config, or none: the weights are copied anyway."""
    if not isinstance(value, dict):
        return {name: value} if isinstance(value, str) else {}
    config = value.get("config") or {}
    config = {key: each for key, each in config.items() if each is not None}
    try:
        kind = getattr(target.initializers, value["class_name"])
        return {name: kind.from_config(config)}
    except Exception:  # unknown there, or with other arguments
        return {}


def _kept(name, value, target):
    """A regularizer or constraint of the other Keras."""
    if value is None or isinstance(value, str):
        return value
    kinds = "regularizers" if name.endswith("_regularizer") else "constraints"
    if value.get("module", f"keras.{kinds}") == f"keras.{kinds}":
        kind = getattr(getattr(target, kinds), value["class_name"], None)
        if kind is not None:
            return kind.from_config(value["config"])
    raise NoTwin(
        f"its `{name}` is none of Keras's own: set it to None if the twin "
        "needs none"
    )


def _only_axis(axis):
    """A batch norm of tf_keras has a list of axes."""
    if not isinstance(axis, (list, tuple)):
        return axis
    if len(axis) > 1:
        raise NoTwin(f"it normalizes several axes: {axis}")
    return axis[0]

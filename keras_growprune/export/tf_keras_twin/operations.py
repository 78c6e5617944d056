"""Operations of `keras.ops` as layers that tf_keras has."""

import dataclasses
import math

import keras
import numpy as np
from keras import ops

from keras_growprune import keras_internals
from keras_growprune.export.tf_keras_twin.graph import NoTwin


@dataclasses.dataclass(frozen=True, eq=False)
class LayerOfOperation:
    """The layer that computes what one call of an operation does.

    Attributes:
        kind: Name of the layer's class.
        config: Arguments of its constructor.
        inputs: What it is called on: a symbolic tensor, or a list of them.
    """

    kind: str
    config: dict
    inputs: object


def layer_of_operation(call):
    """The layer for a call of an operation.

    Args:
        call: A `TwinCall`.

    Returns:
        A `LayerOfOperation`.

    Raises:
        NoTwin: If there is none.
    """
    name = keras_internals.operation_name(call.operation)
    if name in _ARITHMETIC:
        return _arithmetic(name, call)
    if name in _ACTIVATIONS:
        config = {"activation": _ACTIVATIONS[name]}
        return LayerOfOperation("Activation", config, call.args[0])
    if name in _OTHERS:
        found = _OTHERS[name](call.operation, call)
        if found is not None:
            return found
    raise NoTwin(
        "tf_keras has no layer for this operation with these arguments"
    )


# Layers for two tensors; or scale and offset, where one is a constant.
_ARITHMETIC = {
    "Add": ("Add", lambda c, first: (1.0, c)),
    "Subtract": ("Subtract", lambda c, first: (-1.0, c) if first else (1, -c)),
    "Multiply": ("Multiply", lambda c, first: (c, 0.0)),
    "Divide": (None, lambda c, first: None if first else (1 / c, 0.0)),
    "TrueDivide": (None, lambda c, first: None if first else (1 / c, 0.0)),
    "Maximum": ("Maximum", lambda c, first: None),
    "Minimum": ("Minimum", lambda c, first: None),
}

_ACTIVATIONS = {
    "Exp": "exponential",
    "Relu": "relu",
    "Relu6": "relu6",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}


def _arithmetic(name, call):
    kind, constants = _ARITHMETIC[name]
    is_tensor = [keras.utils.is_keras_tensor(x) for x in call.args]
    if all(is_tensor):
        shapes = [tuple(x.shape) for x in call.args]
        # Layers align the axes of their inputs from the other side.
        if kind is None or len(shapes[0]) != len(shapes[1]):
            raise NoTwin(f"tf_keras has no layer for it on shapes {shapes}")
        return LayerOfOperation(kind, {}, list(call.args))
    tensor = call.args[is_tensor.index(True)]
    constant = ops.convert_to_numpy(call.args[is_tensor.index(False)])
    _check_same_form(tensor, call.outputs[0])
    numbers = constants(constant.astype("float64"), is_tensor[1])
    if numbers is None:
        raise NoTwin("tf_keras has no layer for it with a constant")
    scale, offset = (np.asarray(number).tolist() for number in numbers)
    return LayerOfOperation(
        "Rescaling", {"scale": scale, "offset": offset}, tensor
    )


def _check_same_form(tensor, output):
    """A constant may neither change the shape nor the type."""
    forms = [(tuple(x.shape), x.dtype) for x in (tensor, output)]
    if forms[0] != forms[1] or "float" not in output.dtype:
        raise NoTwin(
            f"with its constant it makes {forms[1]} of {forms[0]}, which "
            "Rescaling does not"
        )


def _cast(operation, call):
    """From float to float, as any layer does with its inputs."""
    types = (call.args[0].dtype, call.outputs[0].dtype)
    if not all("float" in dtype for dtype in types):
        return None
    return LayerOfOperation(
        "Activation", {"activation": "linear"}, call.args[0]
    )


def _negative(operation, call):
    _check_same_form(call.args[0], call.outputs[0])
    return LayerOfOperation("Rescaling", {"scale": -1.0}, call.args[0])


def _softmax(operation, call):
    return LayerOfOperation("Softmax", {"axis": operation.axis}, call.args[0])


def _leaky_relu(operation, call):
    config = {"alpha": operation.negative_slope}
    return LayerOfOperation("LeakyReLU", config, call.args[0])


def _elu(operation, call):
    return LayerOfOperation("ELU", {"alpha": operation.alpha}, call.args[0])


def _gelu(operation, call):
    if operation.approximate:
        return None
    config = {"activation": "gelu"}
    return LayerOfOperation("Activation", config, call.args[0])


def _concatenate(operation, call):
    if operation.axis % len(call.outputs[0].shape) == 0:
        return None
    config = {"axis": operation.axis}
    return LayerOfOperation("Concatenate", config, list(call.args[0]))


def _reshape(operation, call):
    """Whatever keeps the batch, and the order of the entries."""
    old, new = (tuple(x.shape) for x in (call.args[0], call.outputs[0]))
    if not new or old[0] != new[0] or None in (*old[1:], *new[1:]):
        return None
    if math.prod(old[1:]) != math.prod(new[1:]):
        return None
    return LayerOfOperation("Reshape", {"target_shape": new[1:]}, call.args[0])


def _transpose(operation, call):
    axes = operation.axes
    if axes is None or axes[0] != 0:
        return None
    rank = len(call.outputs[0].shape)
    config = {"dims": [axis % rank for axis in axes[1:]]}
    return LayerOfOperation("Permute", config, call.args[0])


def _pooling(kind):
    def pooling(operation, call):
        rank = len(call.args[0].shape)
        axes = [] if operation.axis is None else np.atleast_1d(operation.axis)
        spatial = list(range(1, rank - 1))
        if rank < 3 or sorted(axis % rank for axis in axes) != spatial:
            return None
        config = {"keepdims": operation.keepdims}
        name = f"Global{kind}Pooling{len(spatial)}D"
        config["data_format"] = "channels_last"
        return LayerOfOperation(name, config, call.args[0])

    return pooling


_OTHERS = {
    "Cast": _cast,
    "Concatenate": _concatenate,
    "Elu": _elu,
    "ExpandDims": _reshape,
    "Gelu": _gelu,
    "LeakyRelu": _leaky_relu,
    "Max": _pooling("Max"),
    "Mean": _pooling("Average"),
    "Negative": _negative,
    "Reshape": _reshape,
    "Softmax": _softmax,
    "Squeeze": _reshape,
    "Transpose": _transpose,
}

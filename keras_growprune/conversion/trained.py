"""Whether a model has been trained."""

import keras
import numpy as np

from keras_growprune import keras_internals

_CONSTANT = (
    keras.initializers.Zeros,
    keras.initializers.Ones,
    keras.initializers.Constant,
)


def sign_of_training(model):
    """What tells that a model has been trained, in words, or None.

    Weights that start as a constant (biases, the statistics of batch norms)
    tell, and the optimizer's count of steps.

    Args:
        model: A built `keras.Model`.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and int(optimizer.iterations.numpy()):
        return "its optimizer has taken steps"
    for layer in keras_internals.all_layers(model):
        for variable in layer.weights:
            if _has_moved(layer, variable):
                return f"`{variable.path}` is not at its initial value"
    return None


def _has_moved(layer, variable):
    initializer = getattr(layer, f"{variable.name}_initializer", None)
    if not isinstance(initializer, _CONSTANT):
        return False
    start = np.array(initializer(variable.shape, dtype=variable.dtype))
    if variable.name == "bias" and getattr(layer, "unit_forget_bias", False):
        start[layer.units : 2 * layer.units] = 1  # an LSTM remembers at first
    return not np.array_equal(variable.numpy(), start)

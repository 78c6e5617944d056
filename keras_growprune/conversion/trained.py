"""Whether a model has been trained."""

import keras
import numpy as np

from keras_growprune import keras_internals

_CONSTANT = (
    keras.initializers.Zeros,
    keras.initializers.Ones,
    keras.initializers.Constant,
)

# Of so many random numbers the spread is known well enough to say that others,
# of which it is half or twice as large, were drawn in another way.
_ENOUGH, _TWICE = 64, 2.0


def sign_of_training(model):
    """What tells that a model has been trained, in words, or None.

    Weights that start as a constant (biases, the statistics of batch norms)
    tell, the spread of those that start at random, the optimizer's count of
    steps, and a frozen layer: nobody freezes what is to be learnt.

    Args:
        model: A built `keras.Model`.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and int(optimizer.iterations.numpy()):
        return "its optimizer has taken steps"
    for layer in keras_internals.all_layers(model):
        if layer.weights and not layer.trainable:
            return f"layer `{layer.name}` is frozen"
        for variable in layer.weights:
            if _has_moved(layer, variable):
                return f"`{variable.path}` is not at its initial value"
    return None


def _has_moved(layer, variable):
    initializer = getattr(layer, f"{variable.name}_initializer", None)
    if not isinstance(initializer, keras.initializers.Initializer):
        return False
    start = np.array(initializer(variable.shape, dtype=variable.dtype))
    now = variable.numpy()
    if hasattr(initializer, "seed"):  # it draws
        return now.size >= _ENOUGH and not _are_alike(
            np.std(now), np.std(start)
        )
    if variable.name == "bias" and getattr(layer, "unit_forget_bias", False):
        quarter = len(start) // 4  # of four gates; an LSTM remembers at first
        start[quarter : 2 * quarter] = 1
    return isinstance(initializer, _CONSTANT) and not np.array_equal(now, start)


def _are_alike(one, other):
    return other / _TWICE <= one <= other * _TWICE

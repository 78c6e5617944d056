"""Factors on the outputs of single layers."""

import contextlib

from keras_growprune.layers.factors import acting


@contextlib.contextmanager
def factor_on(layer, multiply):
    """Inside, a function acts on a layer, and on its recurrent kernel.

    Args:
        layer: The layer.
        multiply: Function of a tensor.
    """
    parts = [layer, getattr(layer, "cell", layer)]

    def factor(outputs, axis=-1):
        return multiply(outputs)

    def factor_of(part):
        return factor if any(part is each for each in parts) else None

    with acting(factor_of):
        yield

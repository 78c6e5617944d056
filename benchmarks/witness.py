"""A witness of full size that shows whether a small network is right."""

import numpy as np

from keras_growprune.structure import axes_of


def make_witness(model, structure, seed=0):
    """Cuts units out of a network that keeps its full size.

    What reads a unit that is not in the structure gets zeros for weights, what
    writes it gets garbage. So the network computes what the small one does,
    if nothing that depends on the unit was forgotten. Not where a norm looks
    at all channels: there garbage counts.

    Args:
        model: A `GrowPruneModel` with all of its units, which is changed.
        structure: The `Structure` that the small network has.
        seed: Seed of the garbage.
    """
    random = np.random.default_rng(seed)
    active = np.append(structure.units, True)
    for weight in model._growth.blueprint.map.weights:
        value = weight.variable.numpy()
        garbage = np.abs(random.normal(0, 1, value.shape))
        garbage *= 0.01 + value.std()  # large outputs would overflow
        garbage += weight.attribute == "moving_variance"
        read = written = False
        for axis, units in enumerate(weight.units):
            if units is None:
                continue
            shape = [1] * value.ndim
            shape[axis] = -1
            gone = ~active[units].reshape(shape)
            if weight.labels[axis] == "out" or _is_alone(weight):
                written = written | gone
            else:
                read = read | gone
        value = np.where(written, garbage, value)
        weight.variable.assign(np.where(read, 0.0, value))


def _is_alone(weight):
    """Whether a kernel reads and writes each channel alone."""
    is_depthwise = axes_of(weight.layer).channels == "depthwise"
    return is_depthwise or weight.attribute == "depthwise_kernel"

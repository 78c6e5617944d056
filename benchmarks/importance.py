"""What pruning by importance needs: importance of units, and who stays."""

import keras
import numpy as np

import keras_growprune as kgp


def of_filters(model):
    """L1 norms of the units' filters (Li et al., ICLR 2017).

    As ranks within each group: the same share of each group goes.

    Args:
        model: A `GrowPruneModel` of convolutions.

    Returns:
        Array with one number for each unit of its structure.
    """

    def norms(layer):
        return np.abs(layer.kernel.numpy()).sum(axis=(0, 1, 2))

    return _sums_over_writers(model, norms, ranks=True)


def of_norms(model):
    """Scales in the norms behind the units (Liu et al., ICCV 2017).

    Args, returns: As in `of_filters`.
    """
    norm_after = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            convolution = layer.input._keras_history.operation
            norm_after[convolution.name] = layer

    def scales(layer):
        return np.abs(norm_after[layer.name].gamma.numpy())

    return _sums_over_writers(model, scales, ranks=False)


def penalize_norms(model, factor):
    """Sets the L1 penalty on the scales of batch norms.

    Args:
        model: A `keras.Model`.
        factor: Its factor, or None for no penalty.
    """
    regularizer = None if factor is None else keras.regularizers.L1(factor)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma_regularizer = regularizer
            layer.gamma.regularizer = regularizer


def keep(model, importance, is_allowed):
    """The structure of the most important units that is allowed.

    Args:
        model: A `GrowPruneModel`.
        importance: Array, one number for each unit.
        is_allowed: Function of a plain network, whether it costs little
            enough.

    Returns:
        A `Structure`.
    """
    order = np.argsort(importance)
    low, high = 0, len(order)
    while low < high:  # fewest units to remove
        middle = (low + high) // 2
        units = _without(model, order[:middle])
        structure = kgp.Structure(units, model.structure.gates)
        if is_allowed(model.untrained(structure)):
            high = middle
        else:
            low = middle + 1
    return kgp.Structure(_without(model, order[:low]), model.structure.gates)


def _without(model, removed):
    units = np.ones(model.structure.units.shape, bool)
    units[removed] = False
    for group in model.groups:  # each group keeps one at least
        if not units[group.slice].any():
            units[group.start] = True
    return units


def _sums_over_writers(model, weight_of, ranks):
    """Sums over each group's writers of a number for each of its units."""
    result = np.zeros(model.structure.units.shape)
    for group in model.groups:
        values = sum(weight_of(layer) for layer in group.writers)
        if ranks:
            values = np.argsort(np.argsort(values)) / len(values)
        result[group.slice] = values
    return result

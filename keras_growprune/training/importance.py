"""How much units of a trained network matter, by their weights alone."""

import numpy as np


def importance_of_units(channel_map, points):
    """Magnitudes of the weights that scale each unit's output.

    The absolute gamma of a norm (as network slimming does, Liu et al., ICCV
    2017), or the Euclidean norm of a filter where no norm follows; relative to
    the mean of its layer, and summed where several layers write a unit.

    Args:
        channel_map: A `ChannelMap`.
        points: Its `FactorPoint`s.

    Returns:
        Array of shape `(units,)`.
    """
    result = np.zeros(channel_map.unit_count + 1)
    for point in points:
        if not point.is_foldable():
            continue
        name = point.weights()[0]
        value = getattr(point.layer, name).numpy().astype(float)
        size = np.sqrt(np.asarray(point.sum_of_outputs(name, value**2)))
        np.add.at(result, point.units, size / max(size.mean(), 1e-30))
    return result[:-1]

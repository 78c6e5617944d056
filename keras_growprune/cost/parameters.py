"""Number of parameters."""

import numpy as np

from keras_growprune.cost.cost import ProductCost
from keras_growprune.structure import axes_of


class ParameterCost(ProductCost):
    """All parameters, as `keras.Model.count_params` counts them.

    That includes the moving averages of batch norms.

    Args:
        channel_map: A `ChannelMap`.
    """

    measure = "params"

    def __init__(self, channel_map):
        terms, traced = [], set()
        for weight in channel_map.weights:
            if weight.attribute in axes_of(weight.layer).states:
                continue  # Keras does not count them
            terms.append((weight, float(weight.fixed_size)))
            traced.add(id(weight.variable))
        others = {
            id(variable): int(np.prod(variable.shape))
            for layer in channel_map.layers
            for variable in getattr(layer, "weights", [])
            if id(variable) not in traced
        }
        super().__init__(channel_map, terms, constant=sum(others.values()))

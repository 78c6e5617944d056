"""Costs of all structures one step away, told at once."""

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from keras_growprune.cost import FlopsCost
from keras_growprune.cost import ParameterCost
from keras_growprune.keras_internals import graph_calls
from keras_growprune.structure import trace_channels
from tests import networks

PROFILE = kgp.DeviceProfile(
    {
        "convolution": (100, 10, 5, 1),
        "pointwise": (200, 0, 7, 2),
        "depthwise": (300, 20, 9, 0),
        "dense": (400, 0, 11, 3),
    },
    block=4,
    constant=0.5,
)


def one_by_one(cost, widths, gates, to):
    """The same by calling the cost for each structure alone."""
    result, count = [], len(widths)
    for index, value in enumerate(to):
        other, switched = np.array(widths), np.array(gates)
        if index < count:
            other[index] = value
        else:
            switched[index - count] = value > 0
        result.append(float(cost(other, switched)))
    return np.array(result)


@pytest.mark.parametrize(
    "make, rounding",
    # Whole numbers are added up exactly, times are not whole.
    [(FlopsCost, 0), (ParameterCost, 0), (PROFILE.cost, 1e-12)],
)
@pytest.mark.parametrize("seed", range(6))
def test_each_change_costs_what_that_structure_costs(make, rounding, seed):
    model = keras.Model(*networks.random_network(seed))
    channel_map = trace_channels(graph_calls(model), model.outputs)
    cost, sizes = make(channel_map), channel_map.sizes
    random = np.random.default_rng(seed)
    for _ in range(5):
        widths = random.integers(1, sizes + 1)
        gates = random.random(len(channel_map.gates)) < 0.5
        to = np.append(
            random.integers(1, sizes + 1), random.random(gates.shape) < 0.5
        )
        np.testing.assert_allclose(
            cost.of_changes(widths, gates, to),
            one_by_one(cost, widths, gates, to),
            rtol=rounding,
            atol=0,
        )

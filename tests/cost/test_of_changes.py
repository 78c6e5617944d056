"""Costs of all structures one step away, told at once."""

import numpy as np
import pytest

import keras_growprune as kgp
from keras_growprune.cost import FlopsCost
from keras_growprune.cost import ParameterCost
from tests import networks


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


def a_step_away(model, random):
    """A random structure, and a random change of each width and each gate."""
    sizes = np.array([group.size for group in model.groups])
    widths = random.integers(1, sizes + 1)
    gates = random.random(len(model.structure.gates)) < 0.5
    to = np.append(
        random.integers(1, sizes + 1), random.random(gates.shape) < 0.5
    )
    return widths, gates, to


@pytest.mark.parametrize("cost_class", [FlopsCost, ParameterCost])
@pytest.mark.parametrize("seed", range(6))
def test_each_change_costs_exactly_what_that_structure_costs(cost_class, seed):
    network = networks.random_network(seed)
    model = kgp.GrowPruneModel(*network, kgp.Budget(flops=0.5), seed=0)
    cost = cost_class(model._growth.blueprint.map)
    random = np.random.default_rng(seed)
    for _ in range(5):
        asked = a_step_away(model, random)
        np.testing.assert_array_equal(
            cost.of_changes(*asked), one_by_one(cost, *asked)
        )

"""Any kind of network: converted, restructured, compact, always exact.

The full network is a witness that does not slice anything: what reads a unit
that left gets zeros there, what writes it gets garbage. It computes the same
as the small one, if nothing that depends on the unit was forgotten.
"""

import keras
import numpy as np
import pytest
import witness
from keras.ops import convert_to_numpy

import keras_growprune as kgp
from keras_growprune.structure import Structure
from tests import plain_networks
from tests.networks import random_structure

BUDGET = kgp.Budget(params=0.6)


def outputs_of(model, seed=0):
    random = np.random.default_rng(seed)
    inputs = keras.tree.map_structure(
        lambda x: random.normal(size=(3, *x.shape[1:])).astype(x.dtype),
        model.input,
    )
    outputs = model(inputs, training=False)
    return [convert_to_numpy(x) for x in keras.tree.flatten(outputs)]


def assert_equal_outputs(one, other, tolerance=1e-4):
    for a, b in zip(outputs_of(one), outputs_of(other), strict=True):
        assert np.abs(a - b).max() <= tolerance * np.abs(a).max()


def randomize(model, seed=0):
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if "float" in variable.dtype:
            value = random.uniform(0.3, 1.2, tuple(variable.shape))
            if variable.name != "moving_variance":
                value *= random.choice([-1, 1], value.shape)
            variable.assign(value)


def converted(network, seed=0, **kwargs):
    keras.utils.set_random_seed(seed)
    plain = network()
    randomize(plain, seed)
    kwargs = {"start": "weights", "seed": 0, **kwargs}
    return plain, kgp.growable(plain, kwargs.pop("budget", BUDGET), **kwargs)


def assert_costs_are_those_of(plain, model, small):
    """FLOPs and parameters, as counted in the compact network."""
    found = model._growth.network.fractions()
    assert found["params"] * plain.count_params() == pytest.approx(
        small.count_params()
    )
    assert found["flops"] * kgp.count_flops(plain) == pytest.approx(
        kgp.count_flops(small)
    )


def witness_of(network, structure):
    _, full = converted(network)
    witness.make_witness(full, structure)
    full.restructure(Structure(np.ones_like(structure.units), structure.gates))
    return full


@pytest.mark.sampled(3)
@pytest.mark.parametrize("network", plain_networks.COMPLETE)
def test_what_left_leaves_no_trace(network):
    plain, model = converted(network)
    assert_equal_outputs(plain, model, 1e-6)
    structure = random_structure(model, np.random.default_rng(0), gates=False)
    assert 0 < structure.units.sum() < structure.units.size
    model.restructure(structure)
    small = model.compact()
    assert_equal_outputs(model, small, 1e-5)
    assert_equal_outputs(witness_of(network, structure), small)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "network", plain_networks.COMPLETE + plain_networks.ACROSS_CHANNELS
)
def test_costs_are_those_of_the_compact_network(network):
    plain, model = converted(network)
    for seed in (1, 2):
        model.restructure(random_structure(model, np.random.default_rng(seed)))
        small = model.compact()
        assert_equal_outputs(model, small, 1e-5)
        assert_costs_are_those_of(plain, model, small)


@pytest.mark.parametrize(
    "network",
    [
        plain_networks.constants,
        plain_networks.norms,
        plain_networks.norms_of_positions,
        plain_networks.norms_of_everything,
    ],
)
def test_soft_gates_are_folded_or_stay_outside(network):
    _, model = converted(network, rule="paper")
    random = np.random.default_rng(0)
    for variable in model.variables:
        if variable.name == "logits":
            variable.assign(random.normal(size=variable.shape))
    model.restructure(random_structure(model, random))
    assert_equal_outputs(model, model.compact(), 1e-5)

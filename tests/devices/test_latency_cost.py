import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import layers

import keras_growprune as kgp
from keras_growprune.devices import work_of
from keras_growprune.devices.latency_cost import layer_features
from keras_growprune.structure import Structure
from tests.networks import grow
from tests.networks import random_network


def profile(block=4, constant=0.5, input_block=None):
    return kgp.DeviceProfile(
        {
            "convolution": (100, 10, 5, 1),
            "pointwise": (200, 0, 7, 2),
            "depthwise": (300, 20, 9, 0),
            "dense": (400, 0, 11, 3),
        },
        block=block,
        input_block=input_block,
        constant=constant,
    )


def test_widths_count_as_whole_blocks():
    features = layer_features(
        np.array([9.0, 4.0]),
        [np.array([5.0, 5.0]), np.array([7.0, np.nan])],
        np.array([100.0, 30.0]),
        block=4,
        input_block=2,
    )
    # 5 of 6 inputs and 7 of 8 outputs; 5 of 8 channels on their own.
    expected = [
        [9 * 6 * 8 / 1e6, 1e-4, 1e-4, 1],
        [4 * 8 / 1e6, 3e-5, 3e-5, 1],
    ]
    np.testing.assert_allclose(features, expected, rtol=1e-12)


def test_a_network_takes_what_its_layers_take():
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(5, 3, padding="same")(inputs)
    x = layers.Conv2D(8, 1, strides=2)(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x)
    outputs = layers.Dense(2)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    assert [work.kind for work in work_of(model)] == [
        "convolution",
        "pointwise",
        "depthwise",
        "dense",
    ]
    expected = [
        100 * (9 * 16 * 4 * 8) / 1e6 + (10 + 5) * (16 * 5) / 1e6 + 1,
        200 * (4 * 8 * 8) / 1e6 + 2,
        300 * (9 * 4 * 2 * 8) / 1e6 + 20 * (4 * 16) / 1e6,
        400 * (16 * 4) / 1e6 + 11 * 2 / 1e6 + 3,
    ]
    found = profile().milliseconds(model)
    assert found == pytest.approx(0.5 + sum(expected), rel=1e-9)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 2**16))
def test_the_cost_of_a_structure_is_the_time_of_its_network(seed):
    random = np.random.default_rng(seed)
    model = grow(random_network(seed))
    block, input_block = (int(size) for size in random.integers(1, 4, 2))
    made = profile(block=block, input_block=input_block)
    cost = made.cost(model._growth.blueprint.map)
    units = random.random(model.structure.units.shape) < 0.6
    for group in model.groups:
        units[group.start + random.integers(group.size)] = True
    gates = random.random(model.structure.gates.shape) < 0.6
    widths = np.array([units[group.slice].sum() for group in model.groups])
    network = model.untrained(Structure(units, gates))
    expected = made.milliseconds(network)
    assert float(cost(widths, gates)) == pytest.approx(expected, rel=1e-9)
    many = cost(np.stack([widths] * 3), np.stack([gates] * 3))
    np.testing.assert_allclose(many, expected, rtol=1e-9)

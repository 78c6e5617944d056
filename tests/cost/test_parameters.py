import keras
import numpy as np
import pytest

from keras_growprune import Budget
from keras_growprune import GrowPruneModel
from keras_growprune import Structure
from keras_growprune import layers as kgp
from keras_growprune.cost import ParameterCost
from keras_growprune.keras_internals import graph_calls
from keras_growprune.models import resnet
from keras_growprune.structure import trace_channels

layers = keras.layers


def parameters_of(inputs, outputs):
    model = keras.Model(inputs, outputs)
    return ParameterCost(trace_channels(graph_calls(model), model.outputs))


def network():
    x = inputs = keras.Input((6, 6, 2))
    x = kgp.GrowableConv2D(5, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    y = kgp.GrowableConv2D(4, 3, padding="same")(x)
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(y)
    y = layers.Dropout(0.1)(y)
    y = kgp.GrowableConv2D(5, 1)(y)
    y = layers.LayerNormalization()(y)
    x = kgp.GatedAdd()([x, y])
    x = layers.Flatten()(x)
    x = kgp.GrowableDense(7)(x)
    return inputs, layers.Dense(3)(x)


@pytest.mark.parametrize(
    "depth, millions", [(20, 0.27), (32, 0.46), (56, 0.85)]
)
def test_resnet_has_the_published_parameters(depth, millions):
    # The 1 x 1 shortcuts and moving averages come on top.
    inputs, outputs = resnet(depth=depth)
    plain = keras.Model(*resnet(depth=depth, growable=False))
    cost = parameters_of(inputs, outputs)
    assert cost.full == plain.count_params()
    channels = 16 + sum((depth - 2) // 3 * w for w in (16, 32, 64)) + 32 + 64
    shortcuts = 16 * 32 + 32 * 64 + 2 * (32 + 64)
    found = cost.full - 2 * channels - shortcuts
    assert round(found / 1e6, 2) == millions


def test_weights_biases_and_norms_all_count():
    inputs = keras.Input((4, 4, 3))
    x = kgp.GrowableConv2D(6, 3)(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D()(x)
    cost = parameters_of(inputs, layers.Dense(2)(x))
    assert cost.full == 27 * 6 + 6 + 4 * 6 + 6 * 2 + 2
    assert cost([2], []) == 27 * 2 + 2 + 4 * 2 + 2 * 2 + 2


def test_an_unknown_layer_counts_in_full():
    inputs = keras.Input((4, 4, 4))
    x = layers.GroupNormalization(2)(inputs)
    x = kgp.GrowableConv2D(3, 1, use_bias=False)(x)
    x = layers.Conv2D(2, 1, use_bias=False)(x)
    cost = parameters_of(inputs, x)
    assert cost.full == 8 + 4 * 3 + 3 * 2
    assert cost([1], []) == 8 + 4 + 2


def test_a_grouped_convolution_counts_its_own_kernel():
    inputs = keras.Input((4, 4, 4))
    x = layers.Conv2D(4, 1, groups=2, use_bias=False)(inputs)
    x = kgp.GrowableConv2D(3, 1, use_bias=False)(x)
    x = layers.Conv2D(2, 1, use_bias=False)(x)
    cost = parameters_of(inputs, x)
    assert cost.full == 2 * 4 + 4 * 3 + 3 * 2
    assert cost([1], []) == 2 * 4 + 4 + 2


def test_random_structures_cost_what_keras_counts():
    budget = Budget(params=0.5)
    model = GrowPruneModel(*network(), budget=budget, seed=0)
    growth, random = model._growth.blueprint, np.random.default_rng(0)
    for trial in range(6):
        units = random.random(16) < 0.5
        units[[0, 5, 9]] = True
        gates = np.array([trial % 2 == 0])
        model.restructure(Structure(units, gates))
        cost = growth.cost(list(model.widths.values()), gates)
        assert cost == model.compact().count_params()
        assert cost == model.count_params()

"""Which branches of skips can start as the identity."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_growprune as kgp
from keras_growprune import keras_internals
from keras_growprune.structure import find_identity_branches
from keras_growprune.structure import trace_channels


def convolution(**kwargs):
    kwargs = {"kernel_size": 3, "padding": "same", **kwargs}
    return kgp.layers.GrowableConv2D(4, **kwargs)


def identity_of(make, gated=kgp.layers.GatedSkip):
    inputs = keras.Input((6, 6, 2))
    x = layers.ReLU()(kgp.layers.GrowableConv2D(4, 3)(inputs))
    x = gated(name="gate")([x, make(x)])
    model = keras.Model(inputs, layers.Conv2D(1, 1)(x))
    calls = keras_internals.graph_calls(model)
    (found,) = find_identity_branches(trace_channels(calls, model.outputs))
    return found


def norm_relu(x):
    return layers.ReLU()(layers.BatchNormalization()(x))


@pytest.mark.parametrize(
    "make",
    [
        lambda x: norm_relu(convolution(use_bias=False)(x)),
        lambda x: layers.BatchNormalization()(convolution()(x)),
        lambda x: layers.Activation("relu")(convolution(kernel_size=1)(x)),
        lambda x: convolution(activation="relu", dilation_rate=2)(x),
        lambda x: kgp.layers.GrowableDense(4)(x),
    ],
)
def test_a_layer_that_keeps_the_shape_can_repeat_its_input(make):
    found = identity_of(make)
    assert found is not None
    np.testing.assert_array_equal(found.units, np.arange(4))


@pytest.mark.parametrize(
    "make",
    [
        lambda x: convolution(kernel_size=2)(x),  # has no center
        lambda x: layers.Activation("tanh")(convolution()(x)),
        lambda x: convolution(activation="gelu")(x),
        lambda x: layers.ReLU(max_value=6)(convolution()(x)),
        lambda x: layers.BatchNormalization(center=False)(convolution()(x)),
        lambda x: layers.LayerNormalization()(convolution()(x)),
        lambda x: convolution()(convolution()(x)),
        lambda x: layers.Add()([convolution()(x), x]),
        lambda x: layers.Conv2D(4, 3, padding="same")(x),
        lambda x: layers.ReLU()(x),
    ],
)
def test_other_branches_cannot(make):
    assert identity_of(make) is None


def test_a_residual_branch_starts_as_zero_instead():
    make = convolution(use_bias=False)
    assert identity_of(make, kgp.layers.GatedAdd) is None


def test_a_layer_that_is_used_twice_keeps_its_weights():
    shared = convolution()
    inputs = keras.Input((6, 6, 4))
    x = convolution()(inputs)
    for _ in range(2):
        x = kgp.layers.GatedSkip()([x, shared(x)])
    model = keras.Model(inputs, layers.Conv2D(1, 1)(x))
    calls = keras_internals.graph_calls(model)
    found = find_identity_branches(trace_channels(calls, model.outputs))
    assert found == [None, None]

"""What all growable forms of Keras layers have in common."""

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from tests.acting_factors import factor_on

CONVOLUTIONS = [
    ("Conv1D", (9, 2)),
    ("Conv3D", (5, 5, 5, 2)),
    ("Conv1DTranspose", (5, 2)),
    ("Conv2DTranspose", (5, 5, 2)),
    ("Conv3DTranspose", (3, 3, 3, 2)),
    ("SeparableConv1D", (9, 2)),
    ("SeparableConv2D", (7, 7, 2)),
]


def make(name, filters=4, **kwargs):
    growable_class = getattr(kgp.layers, f"Growable{name}")
    return growable_class(filters, 3, activation="relu", **kwargs)


@pytest.mark.parametrize("name, shape", CONVOLUTIONS)
def test_outputs_are_those_of_the_plain_layer(name, shape):
    layer = make(name)
    plain = getattr(keras.layers, name)(4, 3, activation="relu")
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    plain(x)
    layer(x)
    layer.set_weights(plain.get_weights())
    np.testing.assert_array_equal(layer(x), plain(x))
    # A factor of two doubles what comes before the activation.
    with factor_on(layer, lambda outputs: 2.0 * outputs):
        np.testing.assert_allclose(layer(x), 2 * plain(x), rtol=1e-6)
    assert layer.activation is keras.activations.relu


@pytest.mark.parametrize("name, shape", CONVOLUTIONS)
def test_saliency_is_read_from_the_weights_that_scale_the_output(name, shape):
    inputs = keras.Input(shape)
    x = keras.layers.Flatten()(make(name)(inputs))
    model = kgp.GrowPruneModel(
        inputs, keras.layers.Dense(3)(x), kgp.Budget(params=1.0), seed=0
    )
    (point,) = model._growth.network.meter._points
    assert point.kind == "layer" and point.weights_suffice()
    layer = point.layer
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    before = np.array(layer(x))
    factors = np.linspace(0.5, 2.0, layer.filters).astype("float32")
    for weight in point.weights():
        variable = getattr(layer, weight)
        scale = point.along_output(weight, factors)
        variable.assign(variable * scale)
    np.testing.assert_allclose(layer(x), before * factors, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, _ in CONVOLUTIONS])
def test_config_round_trip_keeps_the_widths(name):
    layer = make(name, seed_filters=2, padding="same")
    config = layer.get_config()
    assert (config["filters"], config["seed_filters"]) == (4, 2)
    again = type(layer).from_config(config)
    assert again.get_config() == config
    plain = layer.as_plain_layer()
    assert type(plain) is getattr(keras.layers, name)
    restored = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert type(restored) is type(layer)


@pytest.mark.parametrize("filters, seed", [(0, None), (4, 5), ("4", 1)])
def test_widths_out_of_range_are_refused(filters, seed):
    with pytest.raises(ValueError, match="filters"):
        make("Conv1D", filters, seed_filters=seed)


def test_a_missing_width_is_an_error_of_keras():
    with pytest.raises(TypeError, match="filters"):
        kgp.layers.GrowableConv1D(kernel_size=3)

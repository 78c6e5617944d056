import keras
import numpy as np
import pytest

from keras_growprune.layers import GrowableConv2D
from tests.acting_factors import factor_on

KWARGS = [
    {},
    {"padding": "same", "strides": 2, "use_bias": False},
    {"activation": "tanh", "dilation_rate": 2},
    {"groups": 2, "bias_initializer": "ones"},
]


def images(count=4):
    random = np.random.default_rng(0)
    return random.normal(size=(count, 7, 7, 4)).astype("float32")


def twins(kwargs):
    """A growable and a plain layer with the same weights, each in a model."""
    models = []
    for layer_class in (GrowableConv2D, keras.layers.Conv2D):
        inputs = keras.Input((7, 7, 4))
        x = layer_class(6, 3, name="conv", **kwargs)(inputs)
        x = keras.layers.GlobalAveragePooling2D()(x)
        models.append(keras.Model(inputs, keras.layers.Dense(2)(x)))
    models[0].set_weights(models[1].get_weights())
    return models


@pytest.mark.parametrize("kwargs", KWARGS)
def test_outputs_are_those_of_the_plain_layer(kwargs):
    ours, plain = twins(kwargs)
    np.testing.assert_array_equal(ours(images()), plain(images()))


@pytest.mark.parametrize("kwargs", KWARGS[:3])
def test_training_is_that_of_the_plain_layer(kwargs):
    labels = np.array([[1.0, 0.0], [0.0, 1.0]] * 2)
    trained = []
    for model in twins(kwargs):
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
        model.fit(images(), labels, epochs=2, shuffle=False, verbose=0)
        trained.append(model.get_weights())
    before = twins(kwargs)[0].get_weights()
    for ours, plain in zip(*trained):
        np.testing.assert_allclose(ours, plain, atol=1e-6)
    assert not np.array_equal(trained[0][0], before[0])


def test_a_factor_acts_before_the_activation():
    layer = GrowableConv2D(2, 1, activation="relu", bias_initializer="ones")
    layer.build((None, 2, 2, 1))
    layer.set_weights([np.array([[[[1.0, -1.0]]]]), np.array([1.0, 1.0])])
    factors = np.array([0.5, -2.0], "float32")
    with factor_on(layer, lambda outputs: outputs * factors):
        found = np.array(layer(np.full((1, 1, 1, 1), 3.0, "float32")))
    # (3 + 1) / 2 = 2, and (-3 + 1) * -2 = 4.
    assert found.reshape(-1).tolist() == [2.0, 4.0]


@pytest.mark.parametrize("kwargs", KWARGS)
def test_a_factor_of_one_changes_nothing(kwargs):
    layer = GrowableConv2D(6, 3, **kwargs)
    expected = layer(images())
    with factor_on(layer, lambda outputs: outputs):
        found = layer(images())
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_output_shape_is_that_of_the_plain_layer():
    layer = GrowableConv2D(6, 3, strides=2)
    assert layer.compute_output_shape((None, 7, 7, 4)) == (None, 3, 3, 6)
    assert layer(keras.Input((7, 7, 4))).shape == (None, 3, 3, 6)


def test_config_round_trip_keeps_full_and_seed_width():
    layer = GrowableConv2D(
        6, 3, seed_filters=2, padding="same", activation="relu", name="conv"
    )
    config = layer.get_config()
    assert (config["filters"], config["seed_filters"]) == (6, 2)
    again = GrowableConv2D.from_config(config)
    assert again.get_config() == config
    assert (again.full_width, again.seed_width) == (6, 2)


def test_config_holds_the_full_width_while_the_layer_is_narrow():
    layer = GrowableConv2D(6, 3)
    layer.filters = 4
    assert layer.get_config()["filters"] == 6
    assert layer.as_plain_layer().filters == 4


def test_plain_layer_is_a_keras_layer_with_the_same_arguments():
    layer = GrowableConv2D(6, 3, seed_filters=2, strides=2, name="conv")
    plain = layer.as_plain_layer()
    assert type(plain) is keras.layers.Conv2D
    assert (plain.name, plain.strides, plain.filters) == ("conv", (2, 2), 6)


def test_saved_model_loads_with_equal_outputs(tmp_path):
    ours, _ = twins({"activation": "relu"})
    ours.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("conv")) is GrowableConv2D
    np.testing.assert_array_equal(again(images()), ours(images()))


@pytest.mark.parametrize("value", [0, -1, 1.5, "6", None, True])
def test_filters_must_be_a_positive_integer(value):
    with pytest.raises(ValueError, match=rf"`filters`.*filters={value!r}"):
        GrowableConv2D(value, 3)


@pytest.mark.parametrize("value", [0, -1, 7, 2.0, True])
def test_seed_filters_must_fit_into_filters(value):
    message = rf"`seed_filters`.*from 1 to `filters`.*{value!r}, filters=6"
    with pytest.raises(ValueError, match=message):
        GrowableConv2D(6, 3, seed_filters=value)


def test_numpy_integers_are_integers():
    layer = GrowableConv2D(np.int64(6), 3, seed_filters=np.int32(2))
    assert (layer.full_width, layer.seed_width) == (6, 2)
    assert type(layer.get_config()["filters"]) is int
    assert type(layer.get_config()["seed_filters"]) is int

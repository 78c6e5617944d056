import keras
import numpy as np
import pytest

from keras_growprune.layers import GrowableDense
from tests.acting_factors import factor_on

KWARGS = [{}, {"use_bias": False}, {"activation": "tanh"}]


def vectors(*shape):
    random = np.random.default_rng(0)
    return random.normal(size=shape or (4, 5)).astype("float32")


def twins(kwargs, shape=(5,)):
    """A growable and a plain layer with the same weights, each in a model."""
    models = []
    for layer_class in (GrowableDense, keras.layers.Dense):
        inputs = keras.Input(shape)
        x = layer_class(6, name="grown", **kwargs)(inputs)
        models.append(keras.Model(inputs, keras.layers.Dense(2)(x)))
    models[0].set_weights(models[1].get_weights())
    return models


@pytest.mark.parametrize("kwargs", KWARGS)
@pytest.mark.parametrize("shape", [(5,), (3, 5)])
def test_outputs_are_those_of_the_plain_layer(kwargs, shape):
    ours, plain = twins(kwargs, shape)
    x = vectors(4, *shape)
    np.testing.assert_array_equal(ours(x), plain(x))


@pytest.mark.parametrize("kwargs", KWARGS)
def test_training_is_that_of_the_plain_layer(kwargs):
    labels = np.array([[1.0, 0.0], [0.0, 1.0]] * 2)
    trained = []
    for model in twins(kwargs):
        model.compile(keras.optimizers.Adam(0.1), "mse")
        model.fit(vectors(), labels, epochs=2, shuffle=False, verbose=0)
        trained.append(model.get_weights())
    for ours, plain in zip(*trained):
        np.testing.assert_allclose(ours, plain, atol=1e-6)
    assert not np.array_equal(trained[0][0], twins(kwargs)[0].get_weights()[0])


def test_a_factor_acts_before_the_activation():
    layer = GrowableDense(2, activation="relu")
    layer.build((None, 1))
    layer.set_weights([np.array([[1.0, -1.0]]), np.array([1.0, 1.0])])
    factors = np.array([0.5, -2.0], "float32")
    with factor_on(layer, lambda outputs: outputs * factors):
        found = np.array(layer(np.array([[3.0]])))
    # (3 + 1) / 2 = 2, and (-3 + 1) * -2 = 4.
    assert found.tolist() == [[2.0, 4.0]]


@pytest.mark.parametrize("kwargs", KWARGS)
def test_a_factor_of_one_changes_nothing(kwargs):
    layer = GrowableDense(6, **kwargs)
    expected = layer(vectors())
    with factor_on(layer, lambda outputs: outputs):
        found = layer(vectors())
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_output_shape_is_that_of_the_plain_layer():
    assert GrowableDense(6).compute_output_shape((None, 5)) == (None, 6)
    assert GrowableDense(6)(keras.Input((3, 5))).shape == (None, 3, 6)


def test_config_round_trip_keeps_full_and_seed_width():
    config = GrowableDense(
        6, seed_units=2, activation="relu", name="dense"
    ).get_config()
    assert (config["units"], config["seed_units"]) == (6, 2)
    again = GrowableDense.from_config(config)
    assert again.get_config() == config
    assert (again.full_width, again.seed_width) == (6, 2)


def test_config_holds_the_full_width_while_the_layer_is_narrow():
    layer = GrowableDense(6)
    layer.units = 4
    assert layer.get_config()["units"] == 6
    assert layer.as_plain_layer().units == 4


def test_plain_layer_is_a_keras_layer_with_the_same_arguments():
    layer = GrowableDense(6, seed_units=2, activation="relu", name="dense")
    plain = layer.as_plain_layer()
    assert type(plain) is keras.layers.Dense
    assert (plain.name, plain.units) == ("dense", 6)
    assert plain.activation is keras.activations.relu


def test_saved_model_loads_with_equal_outputs(tmp_path):
    ours, _ = twins({"activation": "relu"})
    ours.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("grown")) is GrowableDense
    np.testing.assert_array_equal(again(vectors()), ours(vectors()))


@pytest.mark.parametrize("value", [0, -1, 1.5, "6", None, True])
def test_units_must_be_a_positive_integer(value):
    with pytest.raises(ValueError, match=rf"`units`.*units={value!r}"):
        GrowableDense(value)


@pytest.mark.parametrize("value", [0, -1, 7, 2.0, True])
def test_seed_units_must_fit_into_units(value):
    message = rf"`seed_units`.*from 1 to `units`.*{value!r}, units=6"
    with pytest.raises(ValueError, match=message):
        GrowableDense(6, seed_units=value)

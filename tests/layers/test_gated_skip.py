import keras
import numpy as np
import pytest

from keras_growprune.layers import GatedSkip
from tests.acting_factors import factor_on

A, B = np.array([[8.0, 4.0]]), np.array([[4.0, -8.0]])


def pair():
    return keras.Input((2,)), keras.Input((2,))


def test_it_returns_the_branch():
    assert np.array(GatedSkip()([A, B])).tolist() == B.tolist()


def test_a_factor_moves_the_output_from_the_shortcut_to_the_branch():
    layer = GatedSkip()
    with factor_on(layer, lambda difference: 0.25 * difference):
        assert np.array(layer([A, B])).tolist() == [[7.0, 1.0]]


@pytest.mark.parametrize("factor", [0.25, 1.0])
def test_plain_layers_compute_the_same(factor):
    layer = GatedSkip(name="skip")
    inputs = pair()
    plain = keras.Model(inputs, layer.call_plain(*inputs, factor))
    with factor_on(layer, lambda difference: factor * difference):
        expected = np.array(layer([A, B])).tolist()
    assert np.array(plain([A, B])).tolist() == expected
    for each in plain.layers:
        assert type(each).__module__.startswith("keras.")
    assert len(plain.layers) == (2 if factor == 1 else 5)


def test_it_works_in_an_ordinary_model_that_is_saved(tmp_path):
    inputs = keras.Input((4, 4, 2))
    y = keras.layers.Conv2D(2, 3, padding="same")(inputs)
    model = keras.Model(inputs, GatedSkip(name="skip")([inputs, y]))
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 2)).astype("float32")
    np.testing.assert_array_equal(model(x), model.layers[1](x))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("skip")) is GatedSkip
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("shapes", [[(4, 2)], [(4, 2), (4, 3)], [(2,)] * 3])
def test_two_tensors_of_equal_shape_are_needed(shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    with pytest.raises(ValueError, match="`GatedSkip`.*two tensors of equal"):
        GatedSkip()(inputs)

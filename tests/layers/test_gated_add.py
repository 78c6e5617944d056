import keras
import numpy as np
import pytest

from keras_growprune.layers import GatedAdd
from tests.acting_factors import factor_on


def pair():
    random = np.random.default_rng(0)
    return list(random.normal(size=(2, 3, 4, 4, 2)).astype("float32"))


def test_it_adds_like_the_plain_layer():
    a, b = pair()
    np.testing.assert_array_equal(GatedAdd()([a, b]), a + b)


def test_a_factor_acts_on_the_branch_only():
    layer = GatedAdd()
    a, b = np.array([[8.0, 4.0]]), np.array([[4.0, -8.0]])
    with factor_on(layer, lambda branch: 0.25 * branch):
        assert np.array(layer([a, b])).tolist() == [[9.0, 2.0]]


def test_it_works_in_an_ordinary_model():
    inputs = keras.Input((4, 4, 2))
    y = keras.layers.Conv2D(2, 3, padding="same")(inputs)
    outputs = GatedAdd()([inputs, y])
    assert outputs.shape == (None, 4, 4, 2)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    x = pair()[0]
    before = model.get_weights()[0]
    model.fit(x, np.zeros_like(x), verbose=0)
    assert not np.array_equal(model.get_weights()[0], before)


def test_plain_layer_is_an_add_with_the_same_name():
    inputs = keras.Input((2,)), keras.Input((2,))
    layer = GatedAdd(name="sum", dtype="mixed_float16")
    (plain,) = [
        layer
        for layer in keras.Model(inputs, layer.call_plain(*inputs)).layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    assert type(plain) is keras.layers.Add
    assert plain.name == "sum"
    assert plain.compute_dtype == "float16"


def test_plain_layers_scale_the_branch_by_a_factor():
    inputs = keras.Input((2,)), keras.Input((2,))
    plain = keras.Model(inputs, GatedAdd().call_plain(*inputs, 0.25))
    a, b = np.array([[8.0, 4.0]]), np.array([[4.0, -8.0]])
    assert np.array(plain([a, b])).tolist() == [[9.0, 2.0]]


def test_output_shape_is_that_of_the_inputs():
    shape = (None, 4, 4, 2)
    assert GatedAdd().compute_output_shape([shape, shape]) == shape


def test_config_round_trip():
    config = GatedAdd(name="sum").get_config()
    assert GatedAdd.from_config(config).get_config() == config


def test_saved_model_loads_with_equal_outputs(tmp_path):
    inputs = keras.Input((4, 4, 2))
    y = keras.layers.Conv2D(2, 1)(inputs)
    model = keras.Model(inputs, GatedAdd(name="sum")([inputs, y]))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("sum")) is GatedAdd
    np.testing.assert_array_equal(again(pair()[0]), model(pair()[0]))


@pytest.mark.parametrize(
    "shapes",
    [
        [(4, 4, 2)],
        [(4, 4, 2), (4, 4, 3)],
        [(4, 4, 2), (4, 4, 1)],
        [(4, 4, 2), (2,)],
        [(4, 4, 2)] * 3,
    ],
)
def test_two_tensors_of_equal_shape_are_needed(shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    with pytest.raises(ValueError, match="two tensors of equal.*Received"):
        GatedAdd()(inputs)


@pytest.mark.parametrize("shape", [(2,), (4, 2), (4, 4, 2)])
def test_a_single_tensor_is_refused(shape):
    with pytest.raises(ValueError, match="two tensors of equal.*Received"):
        GatedAdd()(keras.Input(shape))


def test_a_mask_goes_on_as_in_a_sum_of_keras():
    inputs = keras.Input((4, 2))
    masked = keras.layers.Masking()(inputs)
    other = keras.layers.Masking(1.0)(inputs)
    x = np.array([[[0, 0], [1, 1], [0, 2], [0, 0]]], "float32")
    for pair in ([masked, other], [masked, inputs], [inputs, inputs]):
        masks = []
        for layer in (GatedAdd(), keras.layers.Add()):
            outputs = keras.layers.GlobalAveragePooling1D()(layer(pair))
            masks.append(np.array(keras.Model(inputs, outputs)(x)))
        np.testing.assert_array_equal(*masks)

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

import keras_growprune as kgp
from tests.networks import compile_model
from tests.networks import random_structure


@keras.saving.register_keras_serializable(package="tests")
class Cosine(layers.Layer):
    """A dense layer with normalized weights, and a ReLU."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = ops.relu

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units))
        self.shift = self.add_weight(shape=(self.units,))

    def call(self, inputs):
        # Columns of a newcomer may be zero at first.
        kernel = self.kernel / (ops.norm(self.kernel, axis=0) + 0.01)
        outputs = ops.matmul(inputs, kernel) + self.shift
        return self.activation(outputs)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Swish(keras.Operation):
    """Works on each channel alone."""

    def call(self, x):
        return x * ops.sigmoid(x)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


kgp.register_axes(
    Cosine, kernel=("in", "out"), shift=("out",), width_attribute="units"
)
kgp.register_axes(Swish)


def network():
    inputs = keras.Input((5,))
    x = Cosine(6, name="first")(inputs)
    x = Cosine(4, name="second")(Swish()(x))
    return keras.Model(inputs, layers.Dense(3)(x))


def test_a_registered_layer_grows_and_leaves_as_itself(tmp_path):
    plain = network()
    model = kgp.growable(plain, kgp.Budget(params=0.6), seed=0)
    assert model.widths.keys() == {"first", "second"}
    assert isinstance(model.get_layer("first"), Cosine)
    model.restructure(random_structure(model, np.random.default_rng(0)))
    small = model.compact()
    assert type(small.get_layer("first")) is Cosine
    assert small.get_layer("first").units == model.widths["first"]
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    np.testing.assert_allclose(model(x), small(x), atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(
        tmp_path / "model.keras", custom_objects={"Swish": Swish}
    )
    np.testing.assert_array_equal(model(x), loaded(x))


def test_flops_of_a_registered_layer_count():
    assert kgp.count_flops(network()) == 5 * 6 + 6 * 4 + 4 * 3


@pytest.mark.parametrize("rule", ["saliency", "paper"])
def test_a_registered_layer_is_trained_to_the_budget(rule):
    model = kgp.growable(network(), kgp.Budget(params=0.6), rule=rule, seed=0)
    compile_model(model)
    x = np.random.default_rng(0).normal(size=(32, 5)).astype("float32")
    y = np.random.default_rng(0).integers(0, 3, 32)
    logs = model.fit(x, y, epochs=4, verbose=0).history
    assert logs["settled"][-1] == 1 and logs["params"][-1] <= 0.6
    # The factors of soft gates stay, where no weight can take them in.
    np.testing.assert_allclose(model(x), model.compact()(x), atol=1e-5)


def test_saliency_of_a_registered_layer_is_that_of_a_factor():
    model = kgp.growable(network(), kgp.Budget(params=1.0), seed=0)
    points = [
        p for p in model._growth.network.meter._points if p.kind == "layer"
    ]
    assert len(points) == 2
    assert not any(point.weights_suffice() for point in points)


def test_without_the_width_attribute_a_layer_keeps_its_width():
    class Other(Cosine):
        pass

    kgp.register_axes(Other, kernel=("in", "out"), shift=("out",))
    inputs = keras.Input((5,))
    x = Other(4, name="other")(layers.Dense(6, name="hidden")(inputs))
    plain = keras.Model(inputs, layers.Dense(3)(x))
    model = kgp.growable(plain, kgp.Budget(params=0.8), seed=0)
    assert model.widths.keys() == {"hidden"}
    assert "plain `Other`" in model.coupling_report().frozen["other"]

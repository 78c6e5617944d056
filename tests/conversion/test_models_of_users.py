"""What users write: layers inside layers, state, names, masks, functions."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

import keras_growprune as kgp
from tests.conversion.test_conversion_is_exact import assert_costs_are_those_of
from tests.conversion.test_growable import BUDGET
from tests.conversion.test_growable import train


class Block(layers.Layer):
    """A residual block, as users write them."""

    def __init__(self, filters, noisy=False, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Conv2D(2 * filters, 3, padding="same")
        self.norm = layers.BatchNormalization()
        self.second = layers.Conv2D(filters, 3, padding="same")
        self.noise = layers.GaussianNoise(0.1)
        self.noisy = noisy

    def build(self, input_shape):
        self.first.build(input_shape)
        middle = self.first.compute_output_shape(input_shape)
        self.norm.build(middle)
        self.second.build(middle)

    def call(self, inputs, training=None):
        x = ops.relu(self.norm(self.first(inputs), training=training))
        if self.noisy and training:
            x = self.noise(x, training=training)
        return inputs + self.second(x)


def network_of_blocks(**kwargs):
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, name="stem")(inputs)
    for index in (1, 2):
        x = Block(4, name=f"block_{index}", **kwargs)(x)
    x = layers.Dense(6, name="hidden")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(3)(x))


def test_layers_that_call_layers_become_part_of_the_graph():
    plain = network_of_blocks()
    model = kgp.growable(plain, BUDGET, start="weights", seed=0)
    assert [group.size for group in model.groups] == [4, 8, 8, 6]
    assert kgp.count_flops(plain) == model._growth.blueprint.flops.full
    assert len(model.structure.gates) == 2
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype("float32")
    np.testing.assert_allclose(model(x), plain(x), atol=1e-6)
    train(model)  # its norms are in training mode
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, layers.BatchNormalization)
    ]
    assert len(norms) == 2
    assert all(np.abs(norm.moving_mean).max() > 0 for norm in norms)


def test_a_layer_that_does_other_things_in_training_stays_whole():
    model = kgp.growable(
        network_of_blocks(noisy=True), kgp.Budget(params=0.9), seed=0
    )
    report = model.coupling_report()
    assert model.widths.keys() == {"hidden"}
    assert "unknown type Block" in report.frozen["block_1"]
    assert "unknown layer `block_1`" in report.frozen["stem"]


def test_an_opaque_model_that_cannot_be_copied_says_so():
    class Opaque(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(ops.convert_to_tensor(np.asarray(x)))

        def compute_output_shape(self, shape):
            return (shape[0], 3)

    inputs = keras.Input((4,))
    inner = Opaque(name="inner")
    inner(np.ones((1, 4), "float32"))
    with pytest.raises(ValueError, match="`inner` of type Opaque cannot"):
        kgp.growable(keras.Model(inputs, inner(inputs)), BUDGET)


class Positions(layers.Layer):
    """An embedding of positions, which depends on no input."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tokens = layers.Embedding(5, 8)
        self.positions = layers.Embedding(6, 8)

    def build(self, input_shape):
        self.tokens.build(input_shape)
        self.positions.build(input_shape)

    def call(self, inputs):
        return self.tokens(inputs) + self.positions(ops.arange(6))


def test_weights_that_no_input_reaches_stay_trainable():
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Dense(6)(layers.Flatten()(Positions()(inputs)))
    plain = keras.Model(inputs, layers.Dense(2)(x))
    model = kgp.growable(plain, kgp.Budget(params=0.9), seed=0)
    assert len(model.trainable_variables) == len(plain.trainable_variables)


def test_a_model_that_reads_weights_of_its_own_is_refused():
    class Scaled(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = layers.Dense(6), layers.Dense(2)
            self.scale = self.add_weight(shape=(6,), initializer="ones")

        def call(self, x):
            return self.out(self.hidden(x) * self.scale)

    plain = Scaled()
    plain(np.ones((2, 4), "float32"))
    with pytest.raises(ValueError, match="reads weights"):
        kgp.growable(plain, BUDGET)


def test_wrappers_of_layers_stay_and_the_given_model_does_not_move():
    inputs = keras.Input((4,))
    x = layers.SpectralNormalization(layers.Dense(6))(inputs)
    plain = keras.Model(inputs, layers.Dense(2)(layers.Dense(5)(x)))
    x = np.ones((2, 4), "float32")
    before = np.array(plain(x))
    model = kgp.growable(plain, kgp.Budget(params=0.9), start="weights")
    np.testing.assert_array_equal(plain(x), before)
    np.testing.assert_allclose(model(x), before, rtol=1e-6)


def test_state_that_is_no_weight_is_copied():
    inputs = keras.Input((4,))
    norm = layers.Normalization()
    norm.adapt(np.arange(40.0).reshape(10, 4))
    x = layers.Dense(6)(norm(inputs))
    plain = keras.Model(inputs, layers.Dense(2)(x))
    model = kgp.growable(plain, kgp.Budget(params=0.9), start="weights")
    x = np.ones((2, 4), "float32")
    np.testing.assert_allclose(model(x), plain(x), rtol=1e-5)
    np.testing.assert_allclose(model.compact()(x), plain(x), rtol=1e-5)


def test_a_sum_that_carries_a_mask_keeps_it():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(5, 8, mask_zero=True)(inputs)
    x = x + layers.Dense(8)(x)
    x = layers.Dense(6)(layers.GlobalAveragePooling1D()(x))
    plain = keras.Model(inputs, layers.Dense(2)(x))
    model = kgp.growable(plain, kgp.Budget(params=0.9), start="weights")
    x = np.array([[1, 2, 0, 0, 0]])
    np.testing.assert_allclose(model(x), plain(x), rtol=1e-5)
    assert model.structure.gates.size == 0


def test_mixed_precision_leaves_no_readers_behind():
    inputs = keras.Input((4,))
    x = layers.Dense(8, dtype="mixed_float16")(inputs)
    plain = keras.Model(inputs, layers.Dense(3, dtype="float32")(x))
    model = kgp.growable(plain, BUDGET, seed=0)
    model.restructure(model.structure)
    train(model, epochs=2)
    assert model.settled


def test_outputs_keep_the_names_of_models_inside():
    inputs = keras.Input((4,))
    x = layers.Dense(9)(inputs)
    outputs = [
        keras.Sequential([keras.Input((9,)), layers.Dense(2)], name=name)(x)
        for name in ("left", "right")
    ]
    plain = keras.Model(inputs, outputs)
    model = kgp.growable(plain, BUDGET, seed=0)
    assert model.output_names == plain.output_names == ["left", "right"]
    assert model.compact().output_names == ["left", "right"]


def test_inputs_of_a_subclassed_model_are_called_by_their_keys():
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = layers.Dense(8), layers.Dense(2)

        def call(self, x):
            hidden = self.hidden(x["second"])
            return self.out(ops.concatenate([hidden, x["first"]], axis=-1))

    plain = Network()
    x = {"first": np.ones((2, 8), "f"), "second": np.ones((2, 4), "f")}
    expected = plain(x)
    model = kgp.growable(plain, kgp.Budget(params=0.9), start="weights")
    assert {tensor.name for tensor in model.inputs} == {"first", "second"}
    np.testing.assert_allclose(model(x), expected, rtol=1e-6)


def doubled(x):
    return 2.0 * ops.relu(x)


@pytest.mark.parametrize(
    "activation", [doubled, lambda x: 3 * x, layers.LeakyReLU()]
)
def test_any_activation_is_taken_along(activation):
    inputs = keras.Input((4,))
    x = layers.Dense(6, name="hidden")(inputs)
    x = x + layers.Dense(6, activation=activation, name="active")(x)
    x = layers.Dense(5, name="last")(x)
    plain = keras.Model(inputs, layers.Dense(2)(x))
    model = kgp.growable(plain, BUDGET, start="weights", seed=0)
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    np.testing.assert_allclose(model(x), plain(x), rtol=1e-5)
    units = np.ones_like(model.structure.units)
    units[1] = False
    model.restructure(kgp.Structure(units, model.structure.gates))
    np.testing.assert_allclose(model.compact()(x), model(x), rtol=1e-5)


def test_a_frozen_block_keeps_its_sum():
    model = kgp.growable(network_of_blocks(), BUDGET, freeze=["block_1"])
    assert model.structure.gates.size == 1


def test_a_vocabulary_is_copied():
    lookup = layers.StringLookup()
    lookup.adapt(["a", "b"])
    inputs = keras.Input((3,), dtype="string")
    x = layers.Flatten()(layers.Embedding(5, 4)(lookup(inputs)))
    plain = keras.Model(inputs, layers.Dense(2)(layers.Dense(6)(x)))
    model = kgp.growable(plain, kgp.Budget(params=0.9), start="weights")
    x = keras.ops.convert_to_tensor(np.array([["a", "b", "c"]]))
    np.testing.assert_allclose(model(x), plain(x), rtol=1e-6)


def test_channels_first_is_followed_too():
    # TensorFlow has no such convolution on a CPU: shapes and costs only.
    first = {"data_format": "channels_first"}
    inputs = keras.Input((2, 6, 6))
    x = layers.Conv2D(8, 3, padding="same", **first)(inputs)
    y = layers.BatchNormalization(axis=1)(x)
    y = layers.Conv2D(8, 3, padding="same", **first)(ops.relu(y))
    x = layers.MaxPooling2D(**first)(layers.Add()([x, y]))
    x = layers.SeparableConv2D(6, 3, **first)(x)
    x = layers.DepthwiseConv2D(1, depth_multiplier=2, **first)(x)
    x = layers.Flatten(**first)(layers.UpSampling2D(**first)(x))
    plain = keras.Model(inputs, layers.Dense(3)(x))
    model = kgp.growable(plain, BUDGET, start="weights", seed=0)
    assert [group.size for group in model.groups] == [8, 6]
    assert model.structure.gates.size == 1
    units = np.arange(14) % 2 == 0
    model.restructure(kgp.Structure(units, [True]))
    small = model.compact()
    assert_costs_are_those_of(plain, model, small)
    widths = [
        x.output.shape[1] for x in small.layers if len(x.output.shape) > 3
    ]
    assert widths == [2, 4, 4, 4, 4, 4, 3, 6, 6]


def test_a_train_step_that_stays_behind_is_mentioned():
    class Own(keras.Model):
        def train_step(self, data):
            return super().train_step(data)

    inputs = keras.Input((4,))
    outputs = layers.Dense(2)(layers.Dense(6)(inputs))
    with pytest.warns(UserWarning, match="`train_step` of its own"):
        kgp.growable(Own(inputs, outputs), BUDGET, seed=0)

"""Positions added to a residual stream, in all ways that users write it."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

import keras_growprune as kgp
from tests.conversion.test_conversion_is_exact import assert_costs_are_those_of
from tests.conversion.test_conversion_is_exact import assert_equal_outputs
from tests.conversion.test_conversion_is_exact import randomize
from tests.networks import FULL
from tests.networks import random_structure

LENGTH, WIDTH, WORDS = 6, 8, 11


class User(layers.Layer):
    """What has the arguments of its constructor as attributes."""

    def __init__(self, name=None, dtype=None, trainable=True, **arguments):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.arguments = arguments
        vars(self).update(arguments)

    def get_config(self):
        return {**super().get_config(), **self.arguments}


@keras.saving.register_keras_serializable("tests")
class TokensAndPositions(User):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tokens = layers.Embedding(WORDS, WIDTH)
        self.positions = layers.Embedding(LENGTH, WIDTH)

    def build(self, shape):
        self.tokens.build(shape)
        self.positions.build(shape)

    def call(self, inputs):
        positions = ops.arange(0, ops.shape(inputs)[-1], 1)
        return self.tokens(inputs) + self.positions(positions)


@keras.saving.register_keras_serializable("tests")
class Patches(User):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.project = layers.Dense(WIDTH)
        self.positions = layers.Embedding(LENGTH, WIDTH)

    def build(self, shape):
        self.project.build(shape)
        self.positions.build((1, LENGTH))

    def call(self, inputs):
        positions = ops.expand_dims(ops.arange(LENGTH), axis=0)
        return self.project(inputs) + self.positions(positions)


@keras.saving.register_keras_serializable("tests")
class LearnedPositions(User):
    def build(self, shape):
        self.positions = self.add_weight(shape=(1, *shape[1:]))

    def call(self, inputs):
        return inputs + self.positions


@keras.saving.register_keras_serializable("tests")
class NarrowPositions(User):
    """It is told how wide it is."""

    def build(self, shape):
        self.positions = self.add_weight(shape=(self.length, self.width))

    def call(self, inputs):
        batch = ops.shape(inputs)[0]
        shape = (batch, self.length, self.width)
        return inputs + ops.broadcast_to(self.positions, shape)


@keras.saving.register_keras_serializable("tests")
class PositionEmbedding(User):
    """As in KerasHub: it returns the positions."""

    def build(self, shape):
        self.embeddings = self.add_weight(shape=(self.length, shape[-1]))

    def call(self, inputs, start_index=0):
        shape = ops.shape(inputs)
        positions = ops.convert_to_tensor(self.embeddings)
        size = (shape[-2], shape[-1])
        positions = ops.slice(positions, (start_index, 0), size)
        return ops.broadcast_to(positions, shape)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("tests")
class SinePositionEncoding(User):
    """As in KerasHub: the sinusoids depend on the width."""

    def call(self, inputs):
        shape = ops.shape(inputs)
        length, width = shape[-2:]
        channels = ops.arange(width)
        rates = ops.cast(2 * (channels // 2), "float32")
        rates = ops.power(1e-4, rates / ops.cast(width, "float32"))
        angles = ops.cast(ops.arange(length), "float32")[:, None] * rates
        odd = ops.cast(channels % 2, "float32")
        table = ops.sin(angles) * (1 - odd) + ops.cos(angles) * odd
        return ops.broadcast_to(table, shape)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("tests")
class Table(User):
    """It has a table that is no weight."""

    def build(self, shape):
        rates = np.exp(-np.arange(shape[-1]) / 3)
        angles = np.arange(20)[:, None] * rates
        self.table = np.sin(angles).astype("float32")[None]

    def call(self, inputs):
        return inputs + self.table[:, : ops.shape(inputs)[1], :]


@keras.saving.register_keras_serializable("tests")
class LayerScale(User):
    def build(self, shape):
        self.gamma = self.add_weight(shape=shape[-1:], initializer="ones")

    def call(self, inputs):
        return self.gamma * inputs


def constant(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def sinusoids():
    rates = ops.exp(-ops.arange(WIDTH // 2, dtype="float32") / 2)
    angles = ops.cast(ops.arange(LENGTH), "float32")[:, None] * rates
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)


def embedded(inputs):
    return layers.Embedding(WORDS, WIDTH)(inputs)


def with_itself(layer):
    def add(inputs):
        x = embedded(inputs)
        return x + layer(x)

    return add


POSITIONS = {
    "array": lambda i: embedded(i) + constant(LENGTH, WIDTH),
    "tensor": lambda i: ops.add(sinusoids()[None], embedded(i)),
    "embedding": lambda i: (
        embedded(i) + layers.Embedding(LENGTH, WIDTH)(ops.arange(LENGTH))
    ),
    "scaled": lambda i: embedded(i) * np.sqrt(WIDTH) + sinusoids(),
    "lambda": lambda i: layers.Lambda(add_sinusoids)(embedded(i)),
    "layers inside": lambda i: TokensAndPositions()(i),
    "patches": lambda i: Patches()(embedded(i)),
    "learned": lambda i: LearnedPositions()(embedded(i)),
    "told its width": lambda i: NarrowPositions(length=LENGTH, width=WIDTH)(
        embedded(i)
    ),
    "KerasHub": with_itself(PositionEmbedding(length=20)),
    "KerasHub's sinusoids": with_itself(SinePositionEncoding()),
    "table": lambda i: Table()(embedded(i)),
    "scale": lambda i: LayerScale()(embedded(i)),
}
WEIGHTS_OF_USERS = ("learned", "told its width", "KerasHub", "scale")


@keras.saving.register_keras_serializable("tests")
def add_sinusoids(x):
    return x + sinusoids()


def transformer(positions):
    """Two blocks, norms first, with a stream of tokens and positions."""
    inputs = keras.Input((LENGTH,), dtype="int32")
    x = positions(inputs)
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(2, 4)(y, y)
        y = layers.Dense(2 * WIDTH, "gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(WIDTH)(y)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(3)(x))


def converted(name):
    plain = transformer(POSITIONS[name])
    randomize(plain)
    budget = kgp.Budget(params=0.9)
    return plain, kgp.growable(plain, budget, start="weights", seed=0)


def share_without_positions():
    model = kgp.growable(transformer(embedded), kgp.Budget(params=0.9), seed=0)
    return model.coupling_report().growable_share


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", POSITIONS)
def test_a_stream_with_positions_grows(name):
    plain, model = converted(name)
    report = model.coupling_report()
    assert not report.traced_anew
    assert "joins it" not in str(report) and "unknown" not in str(report)
    assert report.growable_share >= share_without_positions() > 0.95
    assert_equal_outputs(plain, model, 1e-5)
    random = np.random.default_rng(0)
    for _ in range(2):
        model.restructure(random_structure(model, random))
        small = model.compact()
        assert_equal_outputs(model, small, 1e-5)
        assert_costs_are_those_of(plain, model, small)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", POSITIONS)
def test_positions_are_saved(name, tmp_path):
    model = converted(name)[1]
    model.restructure(random_structure(model, np.random.default_rng(1)))
    for each in (model, model.compact()):
        each.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert_equal_outputs(each, again, 1e-6)


@pytest.mark.parametrize("name", sorted({*POSITIONS} - {*WEIGHTS_OF_USERS}))
def test_the_compact_network_needs_no_layer_of_a_user(name):
    small = converted(name)[1].compact()
    modules = {type(each).__module__ for each in small.operations}
    assert all(module.startswith("keras.") for module in modules)


@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("embedding", "table")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in POSITIONS
    ],
)
def test_one_trace_serves_all_widths(name):
    model = kgp.growable(
        transformer(POSITIONS[name]), kgp.Budget(params=0.9), schedule=FULL
    )
    model.compile("sgd", "mse")
    random = np.random.default_rng(0)
    x = random.integers(0, WORDS, (4, LENGTH)).astype("int32")
    y = random.normal(size=(4, 3))
    traces = set()
    for _ in range(3):
        model.restructure(random_structure(model, random, gates=False))
        model.train_on_batch(x, y)
        np.testing.assert_allclose(
            model.predict_on_batch(x), model.compact()(x), atol=1e-5
        )
        traces.add(model._growth.functions.traces["train"])
    assert traces == {1}


def test_what_left_takes_its_slice_of_the_constant_along():
    table = constant(LENGTH, WIDTH)
    inputs = keras.Input((LENGTH, WIDTH))
    x = layers.Dense(WIDTH, name="stem")(inputs) + table
    plain = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    model = kgp.growable(plain, kgp.Budget(params=0.9), start="weights")
    units = np.arange(WIDTH) % 3 != 1
    model.restructure(kgp.Structure(units, []))
    for network in (model, model.compact()):
        shape = network.get_layer("stem").output.shape
        assert shape == (None, LENGTH, units.sum())
    (node,) = [
        each.operation._inbound_nodes[0]
        for each in kgp.keras_internals.graph_calls(model.compact())
        if type(each.operation).__name__ == "Add"
    ]
    np.testing.assert_array_equal(node.arguments.args[1], table[:, units])


def test_positions_of_layers_inside_are_trained():
    model = kgp.growable(
        transformer(POSITIONS["layers inside"]), kgp.Budget(params=0.9)
    )
    (positions,) = [
        layer.embeddings
        for layer in model.layers
        if getattr(layer, "input_dim", None) == LENGTH
    ]
    model.compile("sgd", "mse")
    before = positions.numpy()
    model.train_on_batch(np.ones((4, LENGTH)), np.ones((4, 3)))
    assert np.abs(positions.numpy() - before).max() > 0


@pytest.mark.parametrize("name", WEIGHTS_OF_USERS)
def test_newcomers_have_the_values_that_the_layer_drew(name):
    plain = transformer(POSITIONS[name])
    model = kgp.growable(plain, kgp.Budget(params=0.5), seed=0)
    assert not model.structure.units.all()
    everything = np.ones_like(model.structure.units)
    model.restructure(kgp.Structure(everything, model.structure.gates))
    for layer in plain.layers:
        if isinstance(layer, User):
            same = model.get_layer(layer.name).get_weights()
            np.testing.assert_array_equal(same, layer.get_weights())


def frozen_by(layer):
    """What the report says of the layer in front of a user's layer."""
    inputs = keras.Input((LENGTH, 4))
    x = layers.Dense(WIDTH, name="stem")(inputs)
    x = layers.Dense(5)(layer(x))
    plain = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    model = kgp.growable(plain, kgp.Budget(params=0.9), seed=0)
    return model.coupling_report().frozen.get("stem")


class Mixing(User):
    """Weights as wide as the stream, over all of its channels."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], shape[-1]))

    def call(self, inputs):
        return ops.matmul(inputs, self.kernel)


class OwnNorm(LayerScale):
    def call(self, inputs):
        mean = ops.mean(inputs, axis=-1, keepdims=True)
        return (inputs - mean) * self.gamma


class OtherInTraining(LayerScale):
    def call(self, inputs, training=None):
        if training:
            inputs = inputs - ops.mean(inputs, axis=-1, keepdims=True)
        return inputs * self.gamma


class RemembersItsWidth(LayerScale):
    def build(self, shape):
        super().build(shape)
        self.width = shape[-1]

    def call(self, inputs):
        return ops.reshape(inputs, (-1, LENGTH, self.width)) * self.gamma


class Counts(LayerScale):
    def build(self, shape):
        super().build(shape)
        self.calls = self.add_weight(shape=(), trainable=False)

    def call(self, inputs):
        self.calls.assign_add(1.0)
        return inputs * self.gamma


class Noise(User):
    """Random numbers are no constant."""

    def call(self, inputs):
        return inputs + keras.random.normal((LENGTH, WIDTH))


class Marks(User):
    """Nearly always the same, but it looks at its input."""

    def call(self, inputs):
        shape = ops.shape(inputs)
        marks = ops.cast(inputs > 1e9, "float32")
        return marks + ops.broadcast_to(ops.ones(WIDTH), shape)

    def compute_output_shape(self, input_shape):
        return input_shape


class ReadsWeights(User):
    """What it adds is a constant to nobody but the graph."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(WIDTH)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, inputs):
        return self.dense(inputs) + 2.0 * self.dense.bias


@pytest.mark.parametrize(
    "kind",
    [
        Mixing,
        OwnNorm,
        OtherInTraining,
        RemembersItsWidth,
        Counts,
        Noise,
        Marks,
        ReadsWeights,
    ],
)
def test_layers_that_do_more_stay_unknown(kind):
    reason = frozen_by(kind(name="mine"))
    assert reason == (
        f"unknown layer `mine` of type {kind.__name__}: teach it with "
        "`register_axes`"
    )


def test_a_subclassed_model_may_have_positions():
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.tokens = layers.Embedding(WORDS, WIDTH)
            self.positions = layers.Embedding(LENGTH, WIDTH)
            self.hidden, self.out = layers.Dense(9, "relu"), layers.Dense(2)

        def call(self, inputs):
            x = self.tokens(inputs) + self.positions(ops.arange(LENGTH))
            return self.out(self.hidden(x + sinusoids()))

    plain = Network()
    x = np.arange(2 * LENGTH).reshape(2, LENGTH) % WORDS
    expected = plain(x)
    model = kgp.growable(plain, kgp.Budget(params=0.9), start="weights")
    np.testing.assert_allclose(model(x), expected, rtol=1e-5)
    assert [group.size for group in model.groups] == [WIDTH, 9]

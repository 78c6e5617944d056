import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_growprune.export.quantization_aware import quantization_aware
from keras_growprune.export.tf_keras_twin import from_tf_keras
from keras_growprune.export.tf_keras_twin import to_tf_keras
from keras_growprune.export.tfmot import import_tf_keras
from keras_growprune.export.tfmot import import_tfmot
from tests.export import exported_networks
from tests.export.test_compact import NETWORKS
from tests.export.test_compact import images
from tests.export.test_compact import make_model
from tests.export.test_compact import set_random_structure
from tests.networks import random_structure

tf_keras = pytest.importorskip("tf_keras")
TFMOT = "tensorflow_model_optimization"
SWITCH = "TF_USE_LEGACY_KERAS"
# Not `importorskip`: its import is not to be seen outside `import_tfmot`.
needs_tfmot = pytest.mark.skipif(
    importlib.util.find_spec(TFMOT) is None, reason=f"needs {TFMOT}"
)


def draw(model, seed=0):
    """Random values for all weights."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        if "float" in variable.dtype:
            value = 0.5 * random.normal(size=variable.shape)
            if variable.name.endswith("variance"):
                value = np.abs(value) + 0.5
            variable.assign(value)
    return model


def samples(model, count=3, seed=1):
    """Random inputs, in the structure of the model's."""
    random = np.random.default_rng(seed)

    def sample(tensor):
        shape = (count, *tensor.shape[1:])
        if "int" in tensor.dtype:
            return random.integers(0, 4, shape).astype(tensor.dtype)
        if tensor.dtype == "bool":
            return random.random(shape) < 0.5
        return random.normal(size=shape).astype("float32")

    return keras.tree.map_structure(sample, model.input)


def flat(values):
    return [np.asarray(value) for value in keras.tree.flatten(values)]


def assert_alike(one, other, inputs, atol=1e-6):
    pairs = zip(flat(one(inputs)), flat(other(inputs)), strict=True)
    for expected, found in pairs:
        assert expected.shape == found.shape
        np.testing.assert_allclose(found, expected, atol=atol, rtol=1e-5)


def assert_twins(model, atol=1e-6, inputs=None):
    """There and back: the same outputs, names and weights."""
    inputs = samples(model) if inputs is None else inputs
    twin = to_tf_keras(draw(model))
    assert isinstance(twin, tf_keras.Model)
    assert twin.name == model.name
    names = {layer.name for layer in twin.layers}
    assert {layer.name for layer in model.layers} <= names
    assert_alike(model, twin, inputs, atol)
    back = from_tf_keras(twin)
    assert isinstance(back, keras.Model)
    for expected, found in zip(flat(model(inputs)), flat(back(inputs))):
        np.testing.assert_array_equal(found, expected)
    for old, new in zip(model.weights, back.weights, strict=True):
        # A Sequential model, which becomes a functional one, is in the path.
        assert old.path.endswith(new.path) and old.dtype == new.dtype
        np.testing.assert_array_equal(new.numpy(), old.numpy())
    return twin, back


def each(shape, *all_layers, dtype=None):
    """All layers on one input, each with an output."""
    inputs = keras.Input(shape, dtype=dtype)
    outputs = [layer(inputs) for layer in all_layers]
    return keras.Model(inputs, outputs)


def convolutions():
    return each(
        (6, 6, 4),
        layers.Conv2D(3, 3, strides=2, padding="same", activation="gelu"),
        layers.Conv2D(4, 3, groups=2, dilation_rate=2, use_bias=False),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.SeparableConv2D(3, 3, depth_multiplier=2),
        layers.Conv2DTranspose(3, 3, strides=2, output_padding=1),
        layers.Dense(3, activation="silu"),
        layers.EinsumDense("abcd,de->abce", output_shape=(None, 6, 5)),
    )


def convolutions_of_sequences():
    return each(
        (6, 4),
        layers.Conv1D(3, 3, padding="causal"),
        layers.DepthwiseConv1D(3),
        layers.SeparableConv1D(3, 3),
        layers.Conv1DTranspose(3, 3, strides=2),
        layers.TimeDistributed(layers.Dense(3)),
        layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)]),
    )


def convolutions_of_volumes():
    return each(
        (3, 4, 4, 2),
        layers.Conv3D(2, 2),
        layers.Conv3DTranspose(2, 2),
        layers.ConvLSTM2D(2, 3),
        layers.MaxPooling3D(2),
        layers.UpSampling3D(2),
    )


def shapes():
    return each(
        (6, 6, 4),
        layers.MaxPooling2D(3, strides=2, padding="same"),
        layers.AveragePooling2D(2),
        layers.GlobalMaxPooling2D(),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.ZeroPadding2D(((1, 2), (0, 1))),
        layers.Cropping2D(1),
        layers.UpSampling2D(3, interpolation="bilinear"),
        layers.UpSampling2D(2, interpolation="nearest"),
        layers.Resizing(9, 5),
        layers.Flatten(),
        layers.Reshape((12, -1)),
        layers.Permute((3, 1, 2)),
        layers.Dropout(0.5, seed=3),
        layers.SpatialDropout2D(0.5),
        layers.GaussianNoise(0.1),
        layers.Identity(),
    )


def activations():
    names = "relu relu6 leaky_relu elu selu gelu silu mish tanh softmax".split()
    return each(
        (5, 4),
        *map(layers.Activation, names),
        layers.ReLU(6.0, negative_slope=0.1, threshold=0.5),
        layers.LeakyReLU(0.2),
        layers.PReLU(shared_axes=[1]),
        layers.ELU(0.5),
        layers.Softmax(axis=1),
        layers.Rescaling([0.5, 1.0, 2.0, 3.0], offset=-1.0),
        layers.GlobalAveragePooling1D(keepdims=True),
        layers.GlobalMaxPooling1D(),
    )


def norms():
    return each(
        (6, 6, 4),
        layers.BatchNormalization(),
        layers.BatchNormalization(epsilon=1e-6, scale=False, center=False),
        layers.BatchNormalization(axis=1),
        layers.LayerNormalization(axis=[1, 2]),
        layers.GroupNormalization(2),
        layers.UnitNormalization(),
        layers.Normalization(mean=[0.0, 1, 2, 3], variance=[1.0, 2, 3, 4]),
    )


def recurrent():
    backward = layers.GRU(4, go_backwards=True, name="backward_own")
    return each(
        (5, 4),
        layers.LSTM(3),
        layers.LSTM(3, return_state=True, unit_forget_bias=False),
        layers.GRU(3, return_sequences=True, go_backwards=True),
        layers.GRU(3, reset_after=False, dropout=0.1, recurrent_dropout=0.1),
        layers.SimpleRNN(3, unroll=True),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.Bidirectional(layers.RNN(layers.GRUCell(3)), merge_mode="sum"),
        layers.Bidirectional(layers.GRU(3), backward_layer=backward),
    )


def masks():
    inputs = keras.Input((5,), dtype="int32")
    x = embedded = layers.Embedding(4, 3, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.Add()([layers.Dense(3)(x), embedded])  # the same mask
    y = layers.GRU(3, return_sequences=True, zero_output_for_mask=True)(x)
    z = layers.TimeDistributed(layers.Dense(2))(y)
    return keras.Model(
        inputs,
        [
            layers.GlobalAveragePooling1D()(layers.Dropout(0.2)(x)),
            y,
            layers.SimpleRNN(2)(z),
            layers.LSTM(2)(layers.Masking()(z)),
            layers.GRU(2)(x + embedded),  # a sum as an operation ends masks
            layers.GRU(2)(2.0 * x),
        ],
    )


def states():
    inputs = keras.Input((5, 4))
    other, mask = keras.Input((5, 4)), keras.Input((5,), dtype="bool")
    _, *state = layers.LSTM(3, return_state=True)(inputs)
    x = layers.LSTM(3, return_sequences=True)(other, initial_state=state)
    y = layers.GRU(3)(other, initial_state=state[0], mask=mask)
    return keras.Model([inputs, other, mask], [x, y])


def attention():
    one, other = keras.Input((5, 4)), keras.Input((6, 4))
    heads = layers.MultiHeadAttention(2, 3, value_dim=2, dropout=0.1)
    scores = layers.MultiHeadAttention(2, 3)(
        one, other, return_attention_scores=True
    )
    return keras.Model(
        [one, other],
        [
            heads(one, other),
            heads(one, one, use_causal_mask=True),
            scores,
            layers.Attention(use_scale=True)([one, other]),
            layers.AdditiveAttention()([one, other]),
        ],
    )


def joins():
    inputs = one, other = keras.Input((4, 3)), keras.Input((4, 3))
    kinds = "Add Average Maximum Minimum Multiply Subtract Concatenate".split()
    outputs = [getattr(layers, kind)()([one, other]) for kind in kinds]
    outputs.append(layers.Dot(2, normalize=True)([one, other]))
    row = layers.Reshape((1, 3))(layers.GlobalMaxPooling1D()(one))
    outputs.append(layers.Multiply()([other, row]))
    return keras.Model(inputs, outputs)


def operations():
    inputs = x, y = keras.Input((4, 3)), keras.Input((4, 3))
    vector = np.array([1, 2, 3], "float32")
    outputs = [x + y, x - y, x * y, x + x, ops.maximum(x, y)]
    outputs += [2 * x, x * vector, ops.subtract(vector, x), x - 1, x / 4, -x]
    outputs += [ops.relu(x), ops.silu(x), ops.softmax(x, 1), ops.elu(x)]
    outputs += [ops.leaky_relu(x), ops.gelu(x, approximate=False)]
    outputs += [ops.reshape(x, (-1, 12)), ops.expand_dims(x, 1)]
    outputs += [ops.transpose(x, (0, 2, 1)), ops.mean(x, 1, keepdims=True)]
    outputs += [ops.max(x, 1), ops.concatenate([x, y], -1)]
    return keras.Model(inputs, outputs)


def shared_and_nested():
    inputs = one, other = keras.Input((4,)), keras.Input((4,))
    shared = layers.Dense(4, activation="tanh", name="shared")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    pair = {"d": layers.Dense(3)(a), "c": shared(b)}
    inner = keras.Model({"b": b, "a": a}, pair, name="inner")
    first = inner({"a": one, "b": shared(shared(other))})
    second = inner({"a": first["c"], "b": one})
    tail = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2), layers.BatchNormalization()]
    )
    return keras.Model(inputs, [tail(first["d"]), second["c"]])


def model_at_each_step():
    step = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    return each((5, 4), layers.TimeDistributed(step))


def dictionaries():
    inputs = {
        "z": keras.Input((4,), name="z"),
        "a": keras.Input((4,), name="a"),
    }
    return keras.Model(
        inputs,
        {
            "y": layers.Dense(3)(inputs["a"]),
            "b": [layers.Dense(2)(inputs["z"])],
        },
    )


MODELS = {
    function.__name__: function
    for function in (
        convolutions,
        convolutions_of_sequences,
        convolutions_of_volumes,
        shapes,
        activations,
        norms,
        recurrent,
        masks,
        states,
        attention,
        joins,
        operations,
        shared_and_nested,
        model_at_each_step,
        dictionaries,
    )
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", MODELS)
def test_twins_compute_the_same(name):
    assert_twins(MODELS[name]())


def test_a_twin_by_hand():
    inputs = keras.Input((2,), name="x")
    x = layers.Dense(1, activation="relu", name="dense")(inputs)
    model = keras.Model(inputs, 3 * x - 1)
    model.set_weights([np.array([[2.0], [-1.0]]), np.array([0.5])])
    twin = to_tf_keras(model)
    # 3 * max(0, 2 * 1 - 4 + 0.5) - 1 and 3 * (2 * 3 - 1 + 0.5) - 1
    found = twin(np.array([[1.0, 4.0], [3.0, 1.0]])).numpy()
    np.testing.assert_allclose(found, [[-1.0], [15.5]])
    kinds = [type(layer).__name__ for layer in twin.layers]
    assert kinds == ["InputLayer", "Dense", "Rescaling", "Rescaling"]
    assert twin.input_names == ["x"]


def test_structures_of_inputs_and_outputs():
    model = dictionaries()
    twin, back = assert_twins(model)
    inputs = samples(model)
    for other in (twin, back):
        assert set(other.input) == {"a", "z"}
        assert set(other.output) == {"b", "y"}
        assert isinstance(other.output["b"], list)
        found = other.predict(inputs, verbose=0)
        np.testing.assert_allclose(
            found["y"], model(inputs)["y"], atol=1e-6, rtol=1e-5
        )


def test_a_shared_layer_is_one_in_the_twin():
    twin, back = assert_twins(shared_and_nested())
    for model in (twin, back):
        inner = model.get_layer("inner").get_layer("shared")
        assert inner is model.get_layer("shared")


def test_a_sequential_model_becomes_a_functional_one():
    model = keras.Sequential([layers.Dense(3), layers.Dense(2)])
    with pytest.raises(ValueError, match="Build a Sequential model first"):
        to_tf_keras(model)
    model.build((None, 4))
    twin = to_tf_keras(draw(model))
    inputs = np.ones((2, 4), "float32")
    assert_alike(model, twin, inputs)
    unbuilt = tf_keras.Sequential([tf_keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="Build a Sequential model first"):
        from_tf_keras(unbuilt)
    unbuilt.build((None, 4))
    assert_alike(unbuilt, from_tf_keras(unbuilt), inputs)


def test_a_twin_shares_nothing():
    model = each((4,), layers.Dense(3))
    twin, back = assert_twins(model)
    before = model.get_weights()
    for other in (twin, back):
        for weight in other.weights:
            weight.assign(weight + 1)
    for one, other in zip(before, model.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_states_are_carried_over():
    inputs = keras.Input(batch_shape=(2, 5, 4))
    recurrent = layers.LSTM(3, stateful=True)
    both = layers.Bidirectional(layers.GRU(3, stateful=True))
    model = draw(keras.Model(inputs, [recurrent(inputs), both(inputs)]))
    batch = samples(model, count=2)
    first = flat(model(batch))
    twin = to_tf_keras(model)
    back = from_tf_keras(twin)
    second = flat(model(batch))
    assert np.abs(first[0] - second[0]).max() > 1e-3
    for other in (twin, back):
        for expected, found in zip(second, flat(other(batch))):
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_adapted_statistics_are_carried_over():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(3, 2, (50, 4)))
    model = each((4,), layer)
    twin = to_tf_keras(model)
    inputs = samples(model)
    assert np.abs(np.array(model(inputs)) - inputs).max() > 1
    assert_alike(model, twin, inputs)
    assert_alike(model, from_tf_keras(twin), inputs)


def test_regularizers_constraints_and_a_step_of_training():
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, kernel_regularizer="l2", bias_constraint="non_neg")(
        inputs
    )
    x = layers.DepthwiseConv2D(
        3, depthwise_regularizer=keras.regularizers.L1L2(0.1, 0.2)
    )(layers.ReLU()(x))
    x = layers.LayerNormalization(
        gamma_constraint=keras.constraints.MaxNorm(1)
    )(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(3, bias_regularizer="l1")(x))
    twin, back = assert_twins(model)
    assert len(model.losses) == 3
    images, labels = samples(model, 8), np.arange(8) % 3
    histories = []
    for package, each_model in (
        (keras, model),
        (tf_keras, twin),
        (keras, back),
    ):
        loss = package.losses.SparseCategoricalCrossentropy(from_logits=True)
        each_model.compile(package.optimizers.SGD(0.5), loss)
        history = each_model.fit(
            images, labels, epochs=3, shuffle=False, verbose=0
        )
        histories.append(history.history["loss"])
    np.testing.assert_allclose(histories[1], histories[0], rtol=1e-5)
    np.testing.assert_allclose(histories[2], histories[0], rtol=1e-5)
    for layer in model.layers:
        pairs = zip(
            layer.get_weights(), back.get_layer(layer.name).get_weights()
        )
        for one, other in pairs:
            np.testing.assert_allclose(one, other, atol=1e-5)
    assert (twin.get_layer(model.layers[1].name).bias.numpy() >= 0).all()


def test_the_twin_knows_when_it_trains():
    inputs = keras.Input((50,))
    x = layers.BatchNormalization(momentum=0.5)(inputs)
    model = keras.Model(inputs, layers.Dropout(0.5)(x))
    values = np.random.default_rng(0).normal(3, 2, (20, 50)).astype("float32")
    twin = to_tf_keras(model)
    for each_model in (model, twin, from_tf_keras(twin)):
        np.testing.assert_allclose(each_model(values), values, rtol=1e-3)
        found = np.array(each_model(values, training=True))
        assert 0.3 < np.mean(found == 0) < 0.7
        assert abs(found.mean()) < 0.2
        # Half way from 0 to the mean of the batch.
        mean = each_model.layers[1].moving_mean.numpy()
        np.testing.assert_allclose(mean, values.mean(0) / 2, rtol=1e-4)


def trained_names(model):
    return sorted(
        weight.name.split("/")[-1] for weight in model.trainable_weights
    )


def test_what_is_frozen():
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="one"), layers.Dense(3)],
        name="inner",
    )
    frozen = layers.Bidirectional(layers.GRU(2), name="frozen")
    inputs = keras.Input((4,))
    x = layers.Reshape((3, 1))(inner(inputs))
    model = keras.Model(inputs, layers.BatchNormalization()(frozen(x)))
    inner.trainable = frozen.trainable = False
    inner.get_layer("one").trainable = True  # which Keras 3 trains
    twin, back = assert_twins(model)
    for other, ending in ((model, ""), (twin, ":0"), (back, "")):
        expected = [
            name + ending for name in ("beta", "bias", "gamma", "kernel")
        ]
        assert trained_names(other) == expected
        assert not other.get_layer("frozen").trainable
        assert other.get_layer("inner").get_layer("one").trainable
    twin.get_layer("inner").trainable = False
    twin.get_layer("inner").get_layer("one").trainable = True  # does not help
    assert trained_names(twin) == ["beta:0", "gamma:0"]
    assert trained_names(from_tf_keras(twin)) == ["beta", "gamma"]


def test_a_frozen_weight_of_a_layer_that_is_not():
    model = each((4,), layers.Dense(3, name="dense"))
    model.layers[1].kernel.trainable = False
    with pytest.raises(ValueError, match="frozen by themselves"):
        to_tf_keras(model)
    model.layers[1].trainable = False
    assert not to_tf_keras(model).trainable_weights


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16"])
def test_dtype_policies(policy):
    keras.config.set_dtype_policy(policy)
    inputs = keras.Input((6, 6, 2))
    x = layers.ReLU()(layers.Conv2D(3, 3)(inputs))
    x = layers.GlobalAveragePooling2D()(x + 2 * x)
    model = keras.Model(inputs, layers.Dense(2, dtype="float32")(x))
    twin, back = assert_twins(model, atol=0.02)
    for other in (twin, back):
        for layer in model.layers[1:]:  # inputs have types of their own
            name = layer.dtype_policy.name
            assert other.get_layer(layer.name).dtype_policy.name == name
    assert twin.get_layer("add").compute_dtype == policy.removeprefix("mixed_")
    assert twin.get_layer("dense").dtype_policy.name == "float32"


QUICK = ("norm, relu", "mixed")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in NETWORKS
    ],
)
@pytest.mark.parametrize("rule", ["saliency", "paper"])
def test_random_structures_of_a_growing_network(name, rule):
    model = make_model(NETWORKS[name], rule)
    set_random_structure(model, np.random.default_rng(3))
    twin = to_tf_keras(model)
    for layer in twin.layers:
        assert type(layer).__module__.startswith("tf_keras."), layer
    expected = np.array(model(images(), training=False))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(twin(images()), expected, atol=1e-5, rtol=1e-5)
    small = model.compact()
    assert twin.count_params() == small.count_params()
    assert_alike(small, from_tf_keras(twin), images())


@pytest.mark.parametrize(
    "name",
    [pytest.param("recurrent", marks=pytest.mark.slow), "language_model"],
)
def test_random_structures_of_a_growing_recurrent_network(name):
    model = exported_networks.grown(exported_networks.NETWORKS[name])
    model.restructure(random_structure(model, np.random.default_rng(2)))
    exported_networks.draw_weights(model)
    inputs = exported_networks.samples(model, 4)
    twin = to_tf_keras(model)
    assert_alike(model, twin, inputs, atol=1e-5)
    assert_alike(model.compact(), from_tf_keras(twin), inputs)


@pytest.mark.slow
def test_a_network_of_the_applications():
    model = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=5
    )
    assert_twins(model)


class Doubled(layers.Layer):
    def call(self, inputs):
        return 2 * inputs

    def compute_output_shape(self, input_shape):
        return input_shape


class SumOfSquares(keras.regularizers.Regularizer):
    def __call__(self, weights):
        return ops.sum(ops.square(weights))

    def get_config(self):
        return {}


def quantized():
    model = each((4,), layers.Dense(3))
    model.layers[1].quantize("int8")
    return model


def joined(join, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, join(*inputs))


def two_masks(join):
    inputs = [keras.Input((5,), dtype="int32") for _ in range(2)]
    masked = [layers.Embedding(4, 3, mask_zero=True)(x) for x in inputs]
    return keras.Model(inputs, join(masked))


class Subclassed(keras.Model):
    def call(self, inputs):
        return 2 * super().call(inputs)


def around(shape, layer):
    inputs = keras.Input(shape)
    return Subclassed(inputs, layer(inputs))


REFUSED = {
    "layer of a user": (
        lambda: each((4,), Doubled(name="two")),
        "`two` of type Doubled .it is none of `keras.layers`",
    ),
    "layer of Keras 3 alone": (
        lambda: each((4,), layers.RandomContrast(0.1, name="light")),
        "`light` of type RandomContrast .the other Keras has no",
    ),
    "inside others": (
        lambda: each((5, 4), layers.TimeDistributed(Doubled(name="two"))),
        "TimeDistributed .`two` of type Doubled in it",
    ),
    "inside a model": (
        lambda: each((4,), each((4,), Doubled(name="two"))),
        "`two` of type Doubled",
    ),
    "Lambda": (
        lambda: each((4,), layers.Lambda(lambda x: x)),
        "of type Lambda",
    ),
    "activation": (
        lambda: each(
            (5, 4), layers.LSTM(3, recurrent_activation="hard_sigmoid")
        ),
        "recurrent_activation='hard_sigmoid'",
    ),
    "regularizer of a user": (
        lambda: each((4,), layers.Dense(3, kernel_regularizer=SumOfSquares())),
        "`kernel_regularizer` is none of Keras's own",
    ),
    "argument": (
        lambda: each(
            (6, 6, 3), layers.Resizing(3, 3, pad_to_aspect_ratio=True)
        ),
        "`pad_to_aspect_ratio=True`",
    ),
    "quantized": (quantized, "its weights are quantized"),
    "name": (lambda: each((4,), layers.Dense(3, name="a b")), "name `a b`"),
    "name of a model": (
        lambda: keras.Sequential(
            [keras.Input((4,)), layers.Dense(3)], name="a b"
        ),
        "name `a b`",
    ),
    "division": (lambda: joined(lambda x, y: x / y, (3,), (3,)), "TrueDivide"),
    "ranks": (lambda: joined(lambda x, y: x + y, (4, 3), (3,)), "type Add"),
    "larger constant": (
        lambda: joined(lambda x: x + np.ones((2, 1, 3), "float32"), (3,)),
        "with its constant",
    ),
    "other operation": (
        lambda: joined(lambda x: ops.cumsum(x, axis=1), (3,)),
        "Cumsum .tf_keras has no layer for this operation",
    ),
    "masks": (lambda: two_masks(layers.Add()), "joins several masks"),
    "joined masks": (
        lambda: two_masks(layers.Concatenate()),
        "joins several masks",
    ),
    "mask through a layer": (
        lambda: two_masks(lambda x: layers.GRU(2)(layers.Rescaling(2.0)(x[0]))),
        "Rescaling .a mask goes through it in one Keras only",
    ),
    "masked attention": (
        lambda: two_masks(lambda x: layers.MultiHeadAttention(2, 3)(*x)),
        "masked as a whole",
    ),
    "optional": (
        lambda: keras.Model(
            optional := keras.Input((3,), optional=True, name="o"), optional
        ),
        "input `o`, which is optional",
    ),
    "sparse": (
        lambda: keras.Model(
            sparse := keras.Input((3,), sparse=True, name="s"),
            layers.Dense(2)(sparse),
        ),
        "input `s`, which is not dense",
    ),
    "own call": (
        lambda: around((4,), layers.Dense(3)),
        "Received: Subclassed",
    ),
    "own call inside": (
        lambda: each((4,), around((4,), layers.Dense(3))),
        "more than its graph",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_twin(name, monkeypatch):
    make, message = REFUSED[name]
    model = make()
    if name != "mask through a layer":  # which only the twin tells

        def fail(*args, **kwargs):
            raise AssertionError("it was built")

        monkeypatch.setattr(tf_keras, "Input", fail)
    with pytest.raises(ValueError, match=message) as error:
        to_tf_keras(model)
    assert "Expected: " in str(error.value)


def test_all_that_has_no_twin_is_named_at_once():
    x = inputs = keras.Input((4,))
    for name in ("one", "two"):
        x = Doubled(name=name)(x)
    with pytest.raises(ValueError, match="`one`.*`two`"):
        to_tf_keras(keras.Model(inputs, x))


def test_only_models_of_the_right_keras():
    twin = to_tf_keras(each((4,), layers.Dense(3)))
    with pytest.raises(ValueError, match="Received: Functional"):
        to_tf_keras(twin)
    with pytest.raises(ValueError, match="Received: Functional"):
        from_tf_keras(from_tf_keras(twin))
    with pytest.raises(ValueError, match="Received: str"):
        to_tf_keras("model.keras")


class OldDoubled(tf_keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def test_operators_of_tf_keras_come_back():
    inputs = one, other = tf_keras.Input((4,)), tf_keras.Input((4,))
    x = tf_keras.layers.Dense(4)(one)
    outputs = [2.0 * x + other, other - x, -x, 1.0 - x / 4.0]
    model = tf_keras.Model(inputs, outputs)
    values = [np.ones((2, 4), "float32"), np.full((2, 4), 3.0, "float32")]
    assert_alike(model, from_tf_keras(model), values)


def test_what_keras_3_has_no_twin_for():
    inputs = tf_keras.Input((4,))

    def refuse(message, outputs):
        with pytest.raises(ValueError, match=message):
            from_tf_keras(tf_keras.Model(inputs, outputs))

    refuse("of type OldDoubled", OldDoubled()(inputs))
    refuse("SlicingOpLambda .an operation of", inputs[:, :2])
    refuse("hard_sigmoid", tf_keras.layers.Dense(2, "hard_sigmoid")(inputs))
    dropped = tf_keras.layers.Dropout(0.5)(inputs, training=True)
    refuse("called with `training=True`", dropped)

    class More(tf_keras.Model):
        def call(self, inputs):
            return 2 * super().call(inputs)

    with pytest.raises(ValueError, match="Received: More"):
        from_tf_keras(More(inputs, dropped))
    source = tf_keras.Input((4,))
    inner = More(source, tf_keras.layers.Dense(4)(source), name="more")
    refuse("`more`, a model that is more than its graph", inner(inputs))
    refuse("`a/b`", tf_keras.layers.Dense(2, name="a/b")(inputs))


def test_packages_that_are_missing(monkeypatch):
    for name, load in (("tf_keras", import_tf_keras), (TFMOT, import_tfmot)):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(
            ImportError, match=r"install tensorflow-m.*\[tfmot\]"
        ):
            load()


@pytest.mark.parametrize("before", [None, "0", "1"])
def test_the_variable_is_as_it_was(before, tmp_path, monkeypatch):
    if before is None:
        monkeypatch.delenv(SWITCH, raising=False)
    else:
        monkeypatch.setenv(SWITCH, before)
    line = f"import os; os.environ['{SWITCH}'] = '1'"
    (tmp_path / f"{TFMOT}.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, TFMOT, raising=False)
    assert import_tfmot().__file__.startswith(str(tmp_path))
    assert os.environ.get(SWITCH) == before
    del sys.modules[TFMOT]


@pytest.mark.slow
@needs_tfmot
def test_the_process_is_not_disturbed():
    lines = [
        "import os, sys",
        "import keras_growprune as kgp, keras, tensorflow as tf",
        "from keras_growprune.export.tfmot import import_tfmot",
        "assert 'tf_keras' not in sys.modules",
        "before = dict(os.environ)",
        "tfmot = import_tfmot()",
        "assert tfmot.__version__ and 'tf_keras' in sys.modules",
        "assert dict(os.environ) == before",
        "assert tf.keras.Model is keras.Model",
        "assert tf.keras.layers.Dense is keras.layers.Dense",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def small_network():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(6, 3, use_bias=False, name="stem")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    y = layers.Conv2D(6, 3, padding="same", name="branch")(x)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(2, name="logits")(x))


def stripes(count=128):
    """Images of horizontal or vertical stripes, and which of them."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, count)
    lines = np.sign(random.normal(size=(count, 8, 1)))
    pictures = np.where(
        labels[:, None, None], lines, lines.transpose(0, 2, 1)
    ) + 0.1 * random.normal(size=(count, 8, 8))
    return pictures[..., None].astype("float32"), labels


def compile_old(model, learning_rate=0.01):
    model.compile(
        tf_keras.optimizers.Adam(learning_rate),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


@needs_tfmot
def test_pruned_single_weights_come_back():
    sparsity = import_tfmot().sparsity.keras
    pictures, labels = stripes()
    model = small_network()
    wrapped = sparsity.prune_low_magnitude(
        to_tf_keras(model), sparsity.ConstantSparsity(0.5, 0, frequency=1)
    )
    with pytest.raises(ValueError, match="tfmot.sparsity.keras.strip_pruning"):
        from_tf_keras(wrapped)
    compile_old(wrapped).fit(
        pictures, labels, callbacks=[sparsity.UpdatePruningStep()], verbose=0
    )
    stripped = sparsity.strip_pruning(wrapped)
    back = from_tf_keras(stripped)
    assert [x.name for x in back.layers] == [x.name for x in model.layers]
    for name in ("stem", "branch", "logits"):
        kernel = back.get_layer(name).kernel.numpy()
        assert np.mean(kernel == 0) == 0.5
        old = stripped.get_layer(name).kernel.numpy()
        np.testing.assert_array_equal(kernel, old)
    assert_alike(stripped, back, pictures, atol=1e-5)


@needs_tfmot
@pytest.mark.slow
def test_clustered_weights_come_back():
    clustering = import_tfmot().clustering.keras
    pictures, labels = stripes()
    wrapped = clustering.cluster_weights(
        to_tf_keras(small_network()),
        number_of_clusters=4,
        cluster_centroids_init=clustering.CentroidInitialization.LINEAR,
    )
    with pytest.raises(ValueError, match="keras.strip_clustering"):
        from_tf_keras(wrapped)
    compile_old(wrapped).fit(pictures, labels, verbose=0)
    stripped = clustering.strip_clustering(wrapped)
    back = from_tf_keras(stripped)
    assert len(np.unique(back.get_layer("branch").kernel.numpy())) == 4
    assert_alike(stripped, back, pictures, atol=1e-5)


def run_litert(content, values):
    interpreter_module = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = interpreter_module.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (target,) = interpreter.get_output_details()
    outputs = []
    for value in values:
        interpreter.set_tensor(source["index"], value[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target["index"])[0])
    kinds = {x["dtype"] for x in interpreter.get_tensor_details()}
    return np.stack(outputs), kinds


@needs_tfmot
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs")
def test_training_for_integers():
    import tensorflow as tf

    pictures, labels = stripes()
    model = small_network()
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(pictures, labels, epochs=10, verbose=0)
    aware = compile_old(quantization_aware(model), 0.001)
    aware.fit(pictures, labels, verbose=0)
    with pytest.raises(ValueError, match="TFLiteConverter"):
        from_tf_keras(aware)
    converter = tf.lite.TFLiteConverter.from_keras_model(aware)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    found, kinds = run_litert(converter.convert(), pictures)
    assert np.int8 in kinds
    expected = aware(pictures).numpy()
    step = (expected.max() - expected.min()) / 255
    assert np.abs(found - expected).max() < 6 * step
    assert np.mean(found.argmax(1) == labels) > 0.9


@needs_tfmot
def test_models_inside_and_mixed_precision_are_trained_for_integers():
    keras.config.set_dtype_policy("mixed_bfloat16")
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3)], name="inner")
    model = draw(each((4,), layers.Dense(4, activation="relu")))
    model = keras.Model(model.inputs, inner(model.outputs[0]))
    if any("Cast" in type(each).__name__ for each in model.operations):
        pytest.skip("this Keras has the casts of mixed precision in its graph")
    aware = quantization_aware(model)
    assert {x.compute_dtype for x in aware.layers} == {"float32"}
    inputs = np.random.default_rng(0).uniform(-1, 1, (8, 4)).astype("float32")
    for _ in range(3):  # it learns the ranges
        aware(inputs, training=True)
    np.testing.assert_allclose(
        aware(inputs), np.array(model(inputs), "float32"), atol=0.1
    )


def norm_behind(*before):
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            *before,
            layers.BatchNormalization(name="norm"),
        ]
    )


NOT_TRAINED = {
    "LSTM": (lambda: each((5, 4), layers.LSTM(3, name="lstm")), "`lstm` of"),
    "Bidirectional": (
        lambda: each((5, 4), layers.Bidirectional(layers.GRU(3))),
        "of type Bidirectional",
    ),
    "product": (lambda: joined(lambda x, y: x * y, (3,), (3,)), "Multiply"),
    "activation": (
        lambda: each((4,), layers.Dense(3, activation="elu")),
        "activation 'elu'",
    ),
    "norm behind a sum": (
        lambda: norm_behind(layers.MaxPooling2D()),
        "`norm` of type BatchNormalization .not behind a convolution",
    ),
    "norm behind an activation": (
        lambda: norm_behind(layers.Conv2D(3, 3, activation="relu")),
        "which has an activation",
    ),
    "own call inside": (
        lambda: each((4,), around((4,), layers.Dense(3))),
        "more than its graph",
    ),
    "integers": (
        lambda: each((4,), layers.Embedding(4, 3), dtype="int32"),
        "of int32",
    ),
}


@needs_tfmot
@pytest.mark.parametrize("name", NOT_TRAINED)
def test_what_is_not_trained_for_integers(name, monkeypatch):
    keras_of_tfmot = import_tfmot().quantization.keras

    def fail(model):
        raise AssertionError("it was tried")

    monkeypatch.setattr(keras_of_tfmot, "quantize_model", fail)
    make, message = NOT_TRAINED[name]
    with pytest.raises(ValueError, match=message) as error:
        quantization_aware(make())
    if name != "own call inside":  # which nothing else takes either
        assert 'quantization="int8"' in str(error.value)


@needs_tfmot
def test_errors_of_tfmot_come_with_the_alternative():
    inputs = keras.Input((4,))
    with pytest.raises(ValueError, match='at least one.*quantization="int8"'):
        quantization_aware(keras.Model(inputs, inputs))

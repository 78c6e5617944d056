"""Statistics after a change are those of the examples that were kept."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_growprune as kgp
from keras_growprune import backend
from tests.networks import FULL
from tests.networks import assert_same_bits
from tests.networks import grow
from tests.networks import with_units

RANDOM = np.random.default_rng(0)


PARAMS = kgp.Budget(params=0.6)


def with_norm(inputs, x, mix=kgp.layers.GrowableDense):
    """Growable units, the batch norm `"norm"`, a head of two outputs."""
    x = mix(6)(x)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    return inputs, layers.Dense(2)(x)


def train(model, x, count=48, batch=16, epochs=2, **kwargs):
    """Two epochs of a long run: before the second one there is a change."""
    y = RANDOM.normal(size=(count, 2))
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch)
    model.compile("adam", "mse", **kwargs)
    before = model.structure
    model.fit(data, epochs=epochs, growth_epochs=9, verbose=0)
    assert model.structure != before
    return model


def into(model, x, name="norm"):
    """What goes into a layer of the compact network, computed by Keras."""
    compact = model.compact()
    part = keras.Model(compact.input, compact.get_layer(name).input)
    return np.array(part(x))


def statistics(model, name="norm"):
    norm = model.get_layer(name)
    return norm.moving_mean.numpy(), norm.moving_variance.numpy()


def assert_statistics(found, rows, rtol=1e-4):
    np.testing.assert_allclose(found[0], rows.mean(0), rtol, atol=1e-5)
    np.testing.assert_allclose(found[1], rows.var(0), rtol, atol=1e-5)


def assert_are_of(model, x):
    assert_statistics(statistics(model), into(model, x))


NUMBERS = """int8 int16 int32 int64 uint8 uint16 uint32 bool float16 bfloat16
    float64""".split()


def test_numbers_of_every_type():
    inputs = {t: keras.Input((3,), dtype=t, name=t) for t in NUMBERS}
    x = [keras.ops.cast(each, "float32") for each in inputs.values()]
    model = grow(with_norm(inputs, layers.Concatenate()(x)))
    x = {t: tf.cast(RANDOM.integers(0, 2, (48, 3)), t) for t in NUMBERS}
    assert_are_of(train(model, x), x)


def test_text_and_categories():
    words = RANDOM.choice(["a", "b", "c d", "e"], (48, 1))
    inputs = {
        "lookup": keras.Input((1,), dtype="string", name="lookup"),
        "hashed": keras.Input((1,), dtype="string", name="hashed"),
        "text": keras.Input((), dtype="string", name="text"),
        "kind": keras.Input((1,), dtype="int32", name="kind"),
    }
    one_hot = {"output_mode": "one_hot"}
    text = layers.TextVectorization(
        output_sequence_length=3, vocabulary=["a", "c", "d"]
    )(inputs["text"])
    text = layers.Embedding(5, 4, mask_zero=True)(text)
    x = [
        layers.StringLookup(vocabulary=["a", "b"], **one_hot)(inputs["lookup"]),
        layers.Hashing(4, **one_hot)(inputs["hashed"]),
        layers.GlobalAveragePooling1D()(text),
        layers.CategoryEncoding(5, **one_hot)(inputs["kind"]),
    ]
    model = grow(with_norm(inputs, layers.Concatenate()(x)))
    x = {
        "lookup": words,
        "hashed": words,
        "text": words[:, 0],
        "kind": RANDOM.integers(0, 5, (48, 1)),
    }
    assert_are_of(train(model, x), x)


def test_inputs_in_another_form_than_the_models():
    """Keras takes a dict for a list, and adds a last axis."""
    inputs = [
        keras.Input((1,), name="b"),
        keras.Input((0,), name="empty"),
        keras.Input((), dtype="int32", name="a"),
    ]
    a = layers.Embedding(5, 3)(inputs[2])
    x = layers.Concatenate()([inputs[0], inputs[1], a])
    model = grow(with_norm(inputs, x))
    x = {
        "a": RANDOM.integers(0, 5, 48),
        "b": RANDOM.normal(size=48),
        "empty": np.zeros((48, 0)),
    }
    train(model, x)
    x = [x["b"][:, None], x["empty"], x["a"]]
    assert_are_of(model, [x[0], x[1], x[2]])


class Dense(layers.Layer):
    """Makes what is ragged or sparse an ordinary tensor."""

    def call(self, x):
        if isinstance(x, tf.RaggedTensor):
            x = x.to_tensor(shape=[None, 3])
        return keras.ops.convert_to_tensor(x, sparse=False)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def ragged():
    rows = tf.reshape(tf.random.normal((48, 3)), [-1])
    return tf.RaggedTensor.from_row_lengths(rows, [3] * 48)


KINDS = {
    "sparse": lambda: tf.sparse.from_dense(tf.random.normal((48, 3))),
    "ragged": ragged,
}


@pytest.mark.parametrize("converted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_sparse_and_ragged_inputs_keep_none_and_train(kind, converted):
    try:
        inputs = keras.Input((3,), **{kind: True})
    except (TypeError, ValueError):
        pytest.skip("this Keras has no such inputs")
    x = Dense()(inputs)
    if converted:
        plain = keras.Model(*with_norm(inputs, x, layers.Dense))
        model = kgp.growable(plain, kgp.Budget(flops=0.5), seed=0)
    else:
        model = grow(with_norm(inputs, x))
    assert getattr(model.inputs[0], kind)
    assert getattr(model.compact().inputs[0], kind)
    x = KINDS[kind]()
    train(model, x)
    assert model._growth.network.norms._kept is None  # nor is there memory
    compact = model.compact()
    np.testing.assert_allclose(compact(x), model(x), rtol=1e-5, atol=1e-6)


def varying(lengths, sizes):
    """Batches of sequences, of some lengths and numbers of examples."""
    for length, size in zip(lengths, sizes):
        yield RANDOM.normal(size=(size, length, 3)), np.zeros((size, 2))


def train_varying(batches, **kwargs):
    inputs = keras.Input((None, 3))
    x = kgp.layers.GrowableDense(6)(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling1D()(x)
    model = grow((inputs, layers.Dense(2)(x)), PARAMS)
    model.compile("adam", "mse", **kwargs)
    spec = tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 2))
    data = tf.data.Dataset.from_generator(
        lambda: iter(batches), output_signature=spec
    )
    model.fit(data, epochs=2, growth_epochs=9, verbose=0)
    return model


def test_of_batches_of_varying_length_the_latest_whole_one():
    batches = list(varying((4, 7, 5, 6), (8, 9, 9, 1)))
    model = train_varying(batches)
    rows = into(model, batches[2][0].astype("float32"))
    assert_statistics(statistics(model), rows.reshape(-1, rows.shape[-1]))


@pytest.mark.slow
def test_xla_keeps_no_batches_of_varying_length():
    model = train_varying(list(varying((4, 5), (8, 8))), jit_compile=True)
    assert model._growth.network.norms._kept.all() == []


@pytest.mark.slow
def test_all_that_a_step_reads_and_writes_is_on_the_device():
    """Where there is a GPU, XLA reaches no variables of int32."""
    inputs = keras.Input((3,), dtype="int32")
    x = layers.Flatten()(kgp.layers.GrowableEmbedding(5, 4)(inputs))
    model = grow(with_norm(inputs, x), PARAMS)
    x, y = np.zeros((8, 3), "int32"), np.zeros((8, 2))
    model.compile("adam", "mse")
    model.fit(x, y, growth_epochs=9, verbose=0)
    step = tf.function(lambda: model.train_step((x, y)))
    variables = step.get_concrete_function().graph.variables
    assert len(variables) > 20
    assert not [v.name for v in variables if v.dtype == tf.int32]
    kept = model._growth.network.norms._kept.all()[0]
    assert kept[0].dtype == tf.int32


def test_inputs_with_different_numbers_of_rows_keep_none():
    inputs = [keras.Input((3,)), keras.Input(batch_shape=(1, 3))]
    model = grow(with_norm(inputs, inputs[0] + inputs[1]))
    model.compile("adam", "mse")
    x = tf.data.Dataset.from_tensors((np.ones((8, 3)), np.ones((1, 3))))
    data = tf.data.Dataset.zip((x, tf.data.Dataset.from_tensors([[0.0, 0.0]])))
    model.fit(data, growth_epochs=9, verbose=0)
    assert model._growth.network.norms._kept.all() == []


@pytest.mark.slow
def test_masked_positions_do_not_count():
    inputs = keras.Input((5, 3))
    x = layers.Masking()(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = kgp.layers.GatedLSTM(6)(x)
    model = grow((inputs, layers.Dense(2)(x)))
    x = RANDOM.normal(2.0, 1.0, size=(48, 5, 3))
    x[:24, 2:] = 0
    train(model, x)
    real = x[(x != 0).any(-1)]
    assert_statistics(statistics(model), real, rtol=1e-3)
    norms = model._growth.network.norms
    tensor, _ = model.get_layer("norm").input
    assert_statistics(norms.of_tensors(model, [tensor])[0], real)


def shared_norm():
    inputs = keras.Input((2,)), keras.Input((2,))
    mix, norm = kgp.layers.GrowableDense(5), layers.BatchNormalization()
    x = layers.Concatenate()([norm(mix(each)) for each in inputs])
    model = grow((inputs, layers.Dense(2)(x)), schedule=FULL)
    x = [RANDOM.normal(m, 1.0, (32, 2)).astype("float32") for m in (0, 9)]
    return model, x, norm, mix


def test_a_shared_norm_averages_over_all_its_calls():
    model, x, norm, mix = shared_norm()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.fit(x, np.zeros((32, 2)), growth_epochs=9, verbose=0)
    rows = [np.array(mix(each)) for each in x]
    mean = np.mean([each.mean(0) for each in rows], axis=0)
    variance = np.mean([each.var(0) for each in rows], axis=0)
    for _ in range(2):
        np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-4)
        np.testing.assert_allclose(norm.moving_variance, variance, rtol=1e-4)
        norm.moving_mean.assign(norm.moving_mean + 1)
        data = tf.data.Dataset.from_tensor_slices(tuple(x)).batch(16)
        model.recalibrate(data.map(lambda a, b: ((a, b),)))
        halves = [h for each in rows for h in (each[:16], each[16:])]
        variance = np.mean([each.var(0) for each in halves], axis=0)


def test_a_frozen_norm_keeps_the_users_statistics():
    inputs = keras.Input((3,))
    model = grow(with_norm(inputs, inputs))
    norm = model.get_layer("norm")
    model.restructure(with_units(model, range(6)))
    given = np.arange(6, dtype="float32") + 10
    norm.moving_mean.assign(given)
    norm.moving_variance.assign(given * 2)
    norm.trainable = False
    train(model, RANDOM.normal(size=(48, 3)))
    here = model.structure.units
    assert_same_bits(statistics(model), [given[here], given[here] * 2])


def test_a_norm_that_the_graph_calls_for_inference_is_as_in_keras():
    """There `fit` trains it, and moves its averages."""
    inputs = keras.Input((3,))
    x = layers.BatchNormalization(name="fixed")(inputs, training=False)
    model = grow(with_norm(inputs, x))
    x = RANDOM.normal(5.0, 1.0, size=(48, 3))
    assert_statistics(statistics(train(model, x), "fixed"), x)
    model.get_layer("fixed").moving_mean.assign(np.zeros(3))
    model.recalibrate(x, batch_size=48)
    assert_statistics(statistics(model, "fixed"), x)


class Counting(layers.Layer):
    """Counts its calls, and draws a number in each."""

    def build(self, shape):
        self.calls = self.add_weight(shape=(), dtype="int32", trainable=False)
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, x):
        self.calls.assign_add(1)
        return x + 0 * keras.random.normal((), seed=self.seeds)


def carried_state(batch=8, recurrent=kgp.layers.GatedGRU):
    """A fixed batch size; norms before and after a state that is carried."""
    inputs = keras.Input(batch_shape=(batch, 4, 3))
    x = Counting()(layers.Dropout(0.1)(inputs))
    x = layers.BatchNormalization(name="before")(x)
    x = recurrent(5, stateful=True, name="recurrent")(x)
    x = layers.BatchNormalization(name="norm")(kgp.layers.GrowableDense(6)(x))
    return grow((inputs, layers.Dense(2)(x)), PARAMS)


def others(model):
    """All variables but the statistics of norms, and what is carried."""
    found = {
        v.path: v.numpy() for v in model.variables if "moving" not in v.path
    }
    for layer in model.layers:
        for index, state in enumerate(getattr(layer, "states", None) or []):
            found[f"{layer.name}.states.{index}"] = state.numpy()
    return found


def test_a_refresh_runs_in_the_batch_size_that_the_input_fixes():
    model = carried_state()
    x = RANDOM.normal(size=(48, 4, 3)).astype("float32")
    x += np.arange(6).repeat(8)[:, None, None]  # each batch another mean
    train(model, x, batch=8)
    batches = x.reshape(6, 8 * 4, 3)
    mean, variance = statistics(model, "before")
    np.testing.assert_allclose(mean, batches.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(variance, batches.var(1).mean(0), rtol=1e-4)
    # Exact over all of them, where moments are asked for.
    tensor = model.get_layer("before").input
    found = model._growth.network.norms.of_tensors(model, [tensor])[0]
    assert_statistics(found, x.reshape(-1, 3))


def test_what_a_norm_sees_behind_a_carried_state():
    model = carried_state()
    x = RANDOM.normal(size=(24, 4, 3)).astype("float32")
    train(model, x, count=24, batch=8)
    layer = model.get_layer("recurrent")
    twin = layers.GRU(layer.units, return_state=True)
    twin.build((8, 4, 3))
    twin.set_weights(layer.get_weights()[:3])
    state, rows = layer.states[0].numpy(), []
    gamma, beta = model.get_layer("before").get_weights()[:2]
    model._growth.network.norms.refresh(model)
    for batch in x.reshape(3, 8, 4, 3):
        mean, variance = batch.mean((0, 1)), batch.var((0, 1))
        batch = (batch - mean) / np.sqrt(variance + 1e-3) * gamma + beta
        y, state = twin(batch, state)
        rows.append(model.layers[-3](y))
    means = np.mean([np.mean(each, axis=0) for each in rows], axis=0)
    np.testing.assert_allclose(statistics(model)[0], means, atol=1e-4)


@pytest.mark.parametrize(
    "recurrent", [kgp.layers.GatedGRU, kgp.layers.GatedLSTM]
)
def test_only_statistics_of_norms_change(recurrent):
    model = carried_state(recurrent=recurrent)
    x = RANDOM.normal(size=(24, 4, 3)).astype("float32")
    train(model, x, count=24, batch=8)
    norms = model._growth.network.norms
    states, before = model.get_layer("recurrent").states, others(model)
    assert np.abs(states[0].numpy()).max() > 0.01
    for change in (
        lambda: norms.refresh(model),
        lambda: model.recalibrate(x, batch_size=8),
    ):
        for part in ("before", "norm"):
            model.get_layer(part).moving_mean.assign_add(
                np.ones_like(statistics(model, part)[0])
            )
        given = statistics(model), statistics(model, "before")
        change()
        for one, other in zip(
            given, (statistics(model), statistics(model, "before"))
        ):
            assert np.abs(one[0] - other[0]).min() > 0.1
        after = others(model)
        assert_same_bits(before.values(), after.values())
    given = statistics(model)
    tensor = model.get_layer("norm").input
    assert norms.of_tensors(model, [tensor])[0] is not None
    assert_same_bits(given, statistics(model))
    assert_same_bits(before.values(), others(model).values())


@pytest.mark.slow
def test_a_fixed_batch_size_that_is_no_power_of_two_keeps_whole_batches():
    model = carried_state(batch=7)
    x = RANDOM.normal(size=(7 * 40, 4, 3)).astype("float32")
    train(model, x, count=7 * 40, batch=7)
    kept = model._growth.network.norms._kept.all()[0][0]
    np.testing.assert_array_equal(kept, x[-252:])


@pytest.mark.parametrize(
    "limits,kept",
    [
        ((10, 10**6, None), 10),
        ((10, 100, None), 8),  # of 12 bytes
        ((10, 1, None), 1),
        ((10, 10**6, 4), 8),
        ((10, 100, 7), 7),
        ((10, 1, 12), 12),
    ],
)
@pytest.mark.parametrize("length", [3, None])
def test_as_many_as_the_limits_allow(limits, kept, length):
    examples = backend.Examples([(length,)], ["float32"], *limits)
    assert examples.all() == []
    x = tf.reshape(tf.range(60.0), (20, 3))
    if length is None:
        examples.keep([x[:16]])
    else:
        for start in range(0, 20, 5):
            examples.keep([x[start : start + 5]])
    last = 16 if length is None else 20
    np.testing.assert_array_equal(examples.all()[0][0], x[last - kept : last])
    examples.forget()
    assert examples.all() == []

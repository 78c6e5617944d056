"""One traced function serves every width, and computes what plain ones do."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

import keras_growprune as kgp
from tests import plain_networks
from tests.conversion.test_random_graphs import random_graph
from tests.networks import FULL
from tests.networks import build_optimizer
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import depthwise
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import mark_as_lived
from tests.networks import random_structure
from tests.networks import residual


def with_reading_layers():
    """Layers that read a known width in Keras: each has a form of its own."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, dilation_rate=2, padding="same")(inputs)
    x = layers.Conv2D(6, 3, dilation_rate=(1, 2), activation="relu")(x)
    x = layers.GroupNormalization(groups=2)(x)
    x = layers.DepthwiseConv2D(3, activation="tanh", depth_multiplier=2)(x)
    x = layers.LayerNormalization(axis=-1, center=False)(x)
    x = layers.Conv2DTranspose(5, 3, strides=2, padding="same")(x)
    x = layers.Conv2DTranspose(4, 2, activation="relu")(x)
    x = layers.GroupNormalization(groups=-1)(x)
    x = layers.Reshape((-1, x.shape[2] * 4))(x)
    x = layers.LayerNormalization()(x)
    x = layers.Conv1D(7, 3, dilation_rate=3)(x)
    one, other = ops.split(layers.Conv1D(6, 1)(x), [2], axis=-1)
    x = ops.concatenate([one, ops.tanh(other)], axis=-1)
    x = layers.Conv1DTranspose(4, 3, strides=2)(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


def with_dilation():
    """Dilated layers that pad: TensorFlow wants to know whole kernels."""
    inputs = keras.Input((9, 10, 3))
    x = layers.Conv2D(6, 2, padding="same", dilation_rate=2)(inputs)
    x = layers.DepthwiseConv2D(
        3, padding="same", dilation_rate=2, use_bias=False
    )(x)
    x = layers.DepthwiseConv2D((2, 3), padding="same", dilation_rate=3)(x)
    x = layers.SeparableConv2D(5, 2, padding="same", dilation_rate=2)(x)
    x = layers.DepthwiseConv2D(3, dilation_rate=2, activation="tanh")(x)
    x = layers.Reshape((-1, 5))(x)
    x = layers.DepthwiseConv1D(4, padding="same", dilation_rate=3)(x)
    x = layers.SeparableConv1D(
        4, 3, padding="same", dilation_rate=2, activation="relu"
    )(x)
    x = layers.SeparableConv1D(6, 2, dilation_rate=4, use_bias=False)(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


NETWORKS = {
    name: getattr(plain_networks, name)
    for name in """
        joins squeeze_and_excitation dense_blocks separable norms volumes
        constants norms_of_positions norms_of_everything
        reshaping slices nested attention group_norm softmax_over_channels
        recurrent both_directions tied_embeddings
        encoder_and_decoder
    """.split()
}
if not hasattr(layers, "ReversibleEmbedding"):  # Keras 3.8
    del NETWORKS["tied_embeddings"]
NETWORKS["reading layers"] = with_reading_layers
NETWORKS["dilation"] = with_dilation
NETWORKS.update(
    {
        f"random {seed}": lambda seed=seed: random_graph(
            np.random.default_rng(seed)
        )
        for seed in range(4)
    }
)


def batch_for(model, random, count=8):
    """Inputs and targets for a model of any inputs and outputs."""
    inputs = []
    for tensor in model.inputs:
        shape = [count, *(4 if n is None else n for n in tensor.shape[1:])]
        if "int" in keras.backend.standardize_dtype(tensor.dtype):
            inputs.append(random.integers(0, 5, shape).astype("int32"))
        else:
            inputs.append(random.normal(size=shape).astype("float32"))
    single = [x[:2] for x in inputs]
    outputs = keras.tree.flatten(
        model(single if len(single) > 1 else single[0])
    )
    targets = [
        random.normal(size=(count, *x.shape[1:])).astype("float32")
        for x in outputs
    ]
    return (
        inputs if len(inputs) > 1 else inputs[0],
        targets if len(targets) > 1 else targets[0],
    )


def is_random(model):
    names = ("Dropout", "GaussianNoise")
    return any(
        name in type(layer).__name__
        or getattr(layer, "dropout", 0)
        or getattr(layer, "recurrent_dropout", 0)
        for layer in model.layers
        for name in names
    )


QUICK = ["joins", "norms", "slices", "dilation", "random 0"]


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in NETWORKS
    ],
)
def test_a_step_in_the_one_trace_is_a_step_of_the_plain_network(name):
    random = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    model = kgp.growable(NETWORKS[name](), kgp.Budget(params=1.0), seed=0)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    assert not model.coupling_report().traced_anew
    x, y = batch_for(model, random)
    traces = set()
    for _ in range(2):
        mark_as_lived(model)
        model.restructure(random_structure(model, random, gates=False))
        twin = model.compact()
        twin.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
        before = [w.numpy() for w in twin.trainable_weights]
        for slot in model.optimizer.variables[2:]:
            slot.assign(np.zeros(slot.shape))
        losses = [m.train_on_batch(x, y) for m in (model, twin)]
        model.reset_metrics()
        if not is_random(twin):
            np.testing.assert_allclose(*losses, rtol=1e-4)
            ours = {w.path: w for w in model.weights}
            assert len(ours) == len(model.weights)
            for theirs, old in zip(twin.trainable_weights, before):
                mine = ours[theirs.path]
                np.testing.assert_allclose(
                    mine.numpy() - old,
                    theirs.numpy() - old,
                    rtol=2e-2,
                    atol=2e-5 * max(np.abs(theirs.numpy() - old).max(), 0.1),
                )
        outputs = model.predict_on_batch(x)
        for one, other in zip(
            keras.tree.flatten(outputs),
            keras.tree.flatten(model(x, training=False)),
        ):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
        traces.add(tuple(model._growth.functions.traces.values()))
    # Keras itself traces twice where there are losses to be made first.
    assert traces == {(1 + (len(model.outputs) > 1), 0, 1)}


def test_recurrent_layers_and_norms_of_masked_inputs_are_named():
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(7, 4, mask_zero=True)(inputs)
    x = layers.LSTM(5, return_sequences=True)(x)
    x = layers.LSTM(5)(layers.BatchNormalization()(x))
    network = keras.Model(inputs, layers.Dense(2)(x))
    model = kgp.growable(network, kgp.Budget(params=0.7), seed=0)
    reasons = model.coupling_report().traced_anew
    assert len(reasons) == 3
    assert set(reasons.values()) == {"its inputs are masked"}


def traces_in_fit(network, **arguments):
    model = grow(network, **arguments)
    compile_model(model)
    fit(model, epochs=12, count=32)
    widths = {tuple(record["units"]) for record in model.ledger.epochs}
    assert len(widths) > 2 and model.settled
    return [record["traces"] for record in model.ledger.epochs]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("network", [conv_chain, depthwise, dense])
def test_a_whole_fit_traces_training_once(network):
    assert traces_in_fit(network()) == [1] + [0] * 11


def test_soft_gates_harden_in_a_second_trace():
    traces = traces_in_fit(dense((8, 8)), rule="paper")
    assert traces[0] == 1 and sum(traces) == 2


def test_factors_of_recurrent_units_end_in_a_second_trace():
    inputs = keras.Input((5, 2))
    x = kgp.layers.GatedLSTM(8)(inputs)
    traces = traces_in_fit((inputs, layers.Dense(3)(x)))
    assert traces[0] == 1 and sum(traces) == 2


@pytest.mark.slow
def test_decisions_and_losses_are_those_of_a_trace_for_each_structure():
    found = []
    for one_trace in (True, False):
        keras.utils.set_random_seed(1)
        model = grow(residual(6, blocks=2))
        if not one_trace:
            trace = model._growth.network.one_trace
            trace.give_up("test", "to compare")
        compile_model(model, keras.optimizers.SGD(0.05, momentum=0.9))
        history = fit(model, epochs=8)
        found.append((history["loss"], model.ledger.epochs))
        assert bool(model.coupling_report().traced_anew) != one_trace
    (losses, records), (others, other_records) = found
    np.testing.assert_allclose(losses, others, rtol=1e-4)
    for key in ("units", "gates"):
        assert [r[key] for r in records] == [r[key] for r in other_records]
    totals = [
        sum(record["traces"] for record in each)
        for each in (records, other_records)
    ]
    assert totals[0] < totals[1]


class Scale(layers.Layer):
    """A layer of a user, which does not mind the width of its input."""

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(input_shape[-1],))

    def call(self, inputs):
        return inputs * self.factor


class CountingScale(Scale):
    """One that does."""

    def call(self, inputs):
        return inputs * self.factor / float(inputs.shape[-1])


class SilentScale(Scale):
    """One that computes something else, without any error."""

    def call(self, inputs):
        if inputs.shape[-1] is None:
            return inputs
        return inputs * self.factor + 1.0


@pytest.mark.sampled(3)
@pytest.mark.parametrize("layer", [Scale, CountingScale, SilentScale])
def test_layers_of_users_are_tried_and_those_that_count_are_named(layer):
    kgp.register_axes(Scale, factor=("out",))
    inputs = keras.Input((5,))
    x = kgp.layers.GrowableDense(8)(inputs)
    x = layers.Dense(3)(layer(name="mine")(x))
    model = grow((inputs, x), schedule=FULL)
    report = model.coupling_report()
    assert list(report.traced_anew) == ([] if layer is Scale else ["mine"])
    assert ("mine: " in str(report).split("traced anew")[-1]) == (
        layer is not Scale
    )
    compile_model(model)
    random = np.random.default_rng(0)
    x, y = examples(model)
    for _ in range(3):
        model.restructure(random_structure(model, random))
        model.train_on_batch(x, y)
        np.testing.assert_allclose(
            model.predict_on_batch(x), model(x), rtol=1e-5, atol=1e-6
        )
    traces = model._growth.functions.traces["train"]
    assert traces == (1 if layer is Scale else 3)
    fit(model, epochs=2)
    assert model.ledger.traced_anew == report.traced_anew
    shown = []
    model.structure_summary(print_fn=shown.append)
    assert ("each structure: mine: " in shown[0]) == (layer is not Scale)


def test_without_one_trace_widths_that_come_back_are_traced_anew():
    model = compile_model(grow(conv_chain((4, 6)), schedule=FULL))
    model._growth.network.one_trace.give_up("test", "to compare")
    x, y = examples(model)
    random = np.random.default_rng(0)
    home, other = (random_structure(model, random) for _ in range(2))
    for structure in (home, other, home):
        model.restructure(structure)
        model.train_on_batch(x, y)
        np.testing.assert_allclose(
            model.predict_on_batch(x), model(x), rtol=1e-5, atol=1e-6
        )


def test_a_norm_along_the_first_axis_is_traced_anew_and_says_so():
    inputs = keras.Input((2, 6, 6))
    x = kgp.layers.GrowableConv2D(4, 3, data_format="channels_first")(inputs)
    x = layers.BatchNormalization(axis=1)(x)
    outputs = layers.Dense(3)(
        layers.GlobalAveragePooling2D(data_format="channels_first")(x)
    )
    report = grow((inputs, outputs)).coupling_report()
    (reason,) = report.traced_anew.values()
    assert "axis that is not the last" in reason


class OddOptimizer(keras.optimizers.SGD):
    """An optimizer that asks for the sizes of what it trains."""

    def update_step(self, gradient, variable, learning_rate):
        size = float(np.prod(variable.shape))
        super().update_step(gradient / size, variable, learning_rate)


def test_an_optimizer_that_needs_sizes_is_named_and_trains():
    model = grow(dense((6, 5)), schedule=FULL)
    build_optimizer(model, OddOptimizer(0.1, momentum=0.9))
    assert list(model.coupling_report().traced_anew) == ["optimizer"]
    x, y = examples(model)
    random = np.random.default_rng(0)
    for _ in range(3):
        model.restructure(random_structure(model, random))
        before = model.get_weights()
        model.train_on_batch(x, y)
        assert np.abs(model.get_weights()[0] - before[0]).max() > 0
        np.testing.assert_allclose(
            model.predict_on_batch(x), model(x), rtol=1e-5, atol=1e-6
        )


def test_nothing_in_the_step_is_compiled_in_silence():
    """Keras does so where the channels of input and kernel differ."""
    model = compile_model(grow(depthwise(), schedule=FULL))
    x, y = examples(model)
    compiled = []

    class Peek(keras.losses.SparseCategoricalCrossentropy):
        def call(self, y_true, y_pred):
            compiled.extend(
                operation.name
                for operation in y_pred.graph.get_operations()
                if "Partitioned" in operation.type
            )
            return super().call(y_true, y_pred)

    model.compile("sgd", Peek(from_logits=True))
    model.train_on_batch(x, y)
    assert compiled == []


def test_a_function_of_the_user_serves_all_widths_and_refuses_other_layers():
    import tensorflow as tf

    model = grow(residual(4), schedule=FULL)
    mark_as_lived(model)
    x, _ = examples(model)
    function = tf.function(lambda x: model(x, training=False))
    random = np.random.default_rng(0)
    for _ in range(3):
        model.restructure(random_structure(model, random, gates=False))
        np.testing.assert_allclose(function(x), model(x), rtol=1e-5, atol=1e-6)
    assert function.experimental_get_tracing_count() == 1
    model.restructure(kgp.Structure(model.structure.units, [False]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Trace it anew"):
        function(x)


@pytest.mark.slow
def test_xla_compiles_the_one_trace_for_each_structure_and_it_is_counted():
    found = []
    for compiles in (False, True):
        keras.utils.set_random_seed(0)
        model = grow(conv_chain((4, 6)))
        compile_model(model, jit_compile=compiles)
        history = fit(model, epochs=4)
        found.append((history["loss"], model.ledger.epochs))
        assert model.jit_compile is compiles
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-3)
    plain, compiled = (records for _, records in found)
    assert [r["units"] for r in plain] == [r["units"] for r in compiled]
    assert [r["compilations"] for r in plain] == [0] * 4
    assert [r["compilations"] for r in compiled] == [1, 1, 1, 0]
    assert [r["traces"] for r in compiled] == [1, 0, 0, 0]
    assert compiled[0]["retrace_seconds"] > 0


def test_left_to_keras_xla_waits_for_the_settled_network(monkeypatch):
    monkeypatch.setattr(
        keras.Model, "_resolve_auto_jit_compile", lambda self: True
    )
    model = compile_model(grow(conv_chain((4, 6))))
    assert not model.jit_compile
    fit(model, epochs=4)
    assert model.settled and model.jit_compile
    compilations = [r["compilations"] for r in model.ledger.epochs]
    assert compilations == [0, 0, 1, 0]
    assert model.get_compile_config()["jit_compile"] == "auto"

"""`GatedLSTM` and `GatedGRU` alone: drop-in, and their gates by hand."""

import contextlib

import keras
import numpy as np
import pytest
from keras import layers
from keras.ops import convert_to_numpy as to_numpy

import keras_growprune as kgp
from tests.acting_factors import factor_on

PAIRS = [(kgp.layers.GatedLSTM, layers.LSTM), (kgp.layers.GatedGRU, layers.GRU)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_by_hand(x, kernel, recurrent_kernel, bias, factor):
    """Two steps of an LSTM of one unit, whose output has a factor."""
    h = c = 0.0
    outputs = []
    for step in x:
        i, f, g, o = step * kernel + factor * h * recurrent_kernel + bias
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(factor * h)
    return outputs


@pytest.mark.parametrize("factor", [None, 1.0, 0.5, 0.0])
def test_lstm_of_one_unit_computes_what_the_formula_says(factor):
    layer = kgp.layers.GatedLSTM(1, return_sequences=True)
    layer.build((1, 2, 1))
    kernel = np.array([0.1, -0.2, 0.3, 0.4])
    recurrent = np.array([0.5, 0.6, -0.7, 0.8])
    bias = np.array([0.0, 1.0, 0.2, -0.1])
    layer.set_weights([kernel[None], recurrent[None], bias])
    x, one = np.array([[[1.5], [-0.5]]], "float32"), contextlib.nullcontext()
    with one if factor is None else factor_on(layer, lambda x: x * factor):
        found = to_numpy(layer(x))[0, :, 0]
    expected = lstm_by_hand(
        [1.5, -0.5], kernel, recurrent, bias, 1.0 if factor is None else factor
    )
    assert found == pytest.approx(expected, abs=1e-6)


def test_gru_of_one_unit_computes_what_the_formula_says():
    layer = kgp.layers.GatedGRU(1, return_sequences=True)
    layer.build((1, 2, 1))
    kernel, recurrent = np.array([0.1, -0.2, 0.3]), np.array([0.5, 0.6, -0.7])
    bias = np.array([[0.1, 0.2, 0.3], [-0.1, 0.4, 0.5]])
    layer.set_weights([kernel[None], recurrent[None], bias])
    h, expected = 0.0, []
    for step in (1.5, -0.5):
        z, r, n = step * kernel + bias[0]
        hz, hr, hn = 0.5 * h * recurrent + bias[1]
        z, r = sigmoid(z + hz), sigmoid(r + hr)
        h = z * h + (1 - z) * np.tanh(n + r * hn)
        expected.append(0.5 * h)
    with factor_on(layer, lambda x: x * 0.5):
        found = to_numpy(layer(np.array([[[1.5], [-0.5]]], "float32")))
    assert found[0, :, 0] == pytest.approx(expected, abs=1e-6)


OPTIONS = [
    {},
    {"return_sequences": True},
    {"return_state": True},
    {"return_sequences": True, "return_state": True},
    {"go_backwards": True},
    {"unroll": True},
    {"use_bias": False},
    {"dropout": 0.3},
    {"recurrent_dropout": 0.3},
    {"activation": "relu"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("gated, plain", PAIRS)
def test_layer_is_a_drop_in_for_keras(gated, plain, options):
    x = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")
    ours, theirs = gated(5, **options), plain(5, **options)
    theirs.build(x.shape)
    ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    mask = np.array([[1, 1, 0, 1]] * 3, bool)
    for kwargs in ({}, {"mask": mask}):
        pairs = zip(
            keras.tree.flatten(ours(x, **kwargs)),
            keras.tree.flatten(theirs(x, **kwargs)),
            strict=True,
        )
        for a, b in pairs:
            assert np.array_equal(to_numpy(a), to_numpy(b))
    assert ours.count_params() == theirs.count_params()
    assert ours.compute_output_shape(x.shape) == theirs.compute_output_shape(
        x.shape
    )


@pytest.mark.parametrize("gated, plain", PAIRS)
def test_width_follows_everywhere(gated, plain):
    layer = gated(5, seed_units=2)
    layer.units = 3
    other = plain(3)
    for ours, theirs in ((layer, other), (layer.cell, other.cell)):
        assert ours.units == 3
        assert ours.state_size == theirs.state_size
    assert layer.cell.output_size == 3
    config = layer.get_config()  # which describes the full layer
    assert (config["units"], config["seed_units"]) == (5, 2)
    small = layer.as_plain_layer()
    assert (type(small), small.units) == (plain, 3)


def test_fast_path_of_keras_is_taken_with_and_without_gates(monkeypatch):
    """The backend's fused operation gets the gated kernel."""
    seen = []

    def fused(*args, **kwargs):
        seen.append(to_numpy(kwargs["recurrent_kernel"]))
        raise NotImplementedError  # as on a CPU: then Keras goes step by step

    monkeypatch.setattr("keras.src.backend.lstm", fused)
    layer = kgp.layers.GatedLSTM(2)
    x = np.ones((1, 3, 1), "float32")
    layer(x)
    with factor_on(layer, lambda x: x * 2.0):
        layer(x)
    assert len(seen) == 2
    assert np.array_equal(seen[1], 2 * seen[0])
    # The variable is the cell's again, and counted once.
    assert layer.cell.recurrent_kernel is layer.weights[1]
    assert len(layer.weights) == 3


@pytest.mark.skipif(
    not hasattr(keras.src.backend, "bidirectional_lstm"),
    reason="an older Keras never fuses both directions",
)
def test_both_directions_are_not_fused_past_the_gates(monkeypatch):
    calls = []

    def fused(*args, **kwargs):
        calls.append(kwargs)
        raise NotImplementedError

    monkeypatch.setattr("keras.src.backend.bidirectional_lstm", fused)
    layer = layers.Bidirectional(kgp.layers.GatedLSTM(2))
    x = np.ones((1, 3, 1), "float32")
    layer(x)
    before = len(calls)  # built by the first call, so fused from the second on
    layer(x)
    assert len(calls) > before
    before = len(calls)
    with factor_on(layer.forward_layer, lambda x: x * 2.0):
        layer(x)
    assert len(calls) == before


def test_choice_of_implementation_survives():
    layer = kgp.layers.GatedLSTM(2, use_cudnn=False)
    assert layer.as_plain_layer().use_cudnn is False


@pytest.mark.parametrize("gated, plain", PAIRS)
def test_bad_widths_are_refused(gated, plain):
    with pytest.raises(ValueError, match="units=0"):
        gated(0)
    with pytest.raises(ValueError, match="seed_units=6"):
        gated(5, seed_units=6)


@pytest.mark.parametrize("gated, plain", PAIRS)
def test_layer_is_saved_and_loaded_by_keras(gated, plain, tmp_path):
    inputs = keras.Input((4, 2))
    x = layers.Bidirectional(gated(3, return_sequences=True))(inputs)
    model = keras.Model(inputs, gated(3)(x))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = np.ones((2, 4, 2), "float32")
    assert np.array_equal(model.predict(x), again.predict(x))
    assert isinstance(again.layers[1].forward_layer, gated)


def test_embedding_keeps_its_place_and_bounds():
    layer = kgp.layers.GrowableEmbedding(7, 4, seed_output_dim=2)
    assert layer.get_config()["seed_output_dim"] == 2
    with pytest.raises(ValueError, match="seed_output_dim=5"):
        kgp.layers.GrowableEmbedding(7, 4, seed_output_dim=5)
    plain = layer.as_plain_layer()
    assert (plain.input_dim, plain.output_dim) == (7, 4)

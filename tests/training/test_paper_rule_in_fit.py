"""The published rule in training: soft gates, trained logits, hardening."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_growprune as kgp
from keras_growprune.growth import PaperRule
from tests.networks import FULL
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import depthwise
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import random_structure
from tests.networks import randomize
from tests.networks import residual
from tests.networks import with_units

SGD = keras.optimizers.SGD


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def soft(network, logits=None, gate_logits=None, **kwargs):
    """A growing network of full width with chosen logits."""
    budget = kwargs.pop("budget", kgp.Budget(flops=1.0))
    model = grow(network, budget, rule=PaperRule(**kwargs), schedule=FULL)
    gates = model._growth.network.gates
    if logits is not None:
        gates.unit_gate.logits.assign(logits)
    if gate_logits is not None:
        gates.layer_gate.logits.assign(gate_logits)
    return model


def branch_ends_in_relu():
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same")(inputs)
    y = kgp.layers.GrowableConv2D(3, 1, use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.ReLU()(layers.Conv2D(4, 3, padding="same")(y))
    x = kgp.layers.GatedAdd()([x, y])
    return inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))


def norm_without_scale():
    inputs = x = keras.Input((6, 6, 2))
    for filters in (4, 5):
        x = kgp.layers.GrowableConv2D(filters, 3, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(scale=False)(x))
    return inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))


def only_gates():
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same")(inputs)
    for _ in range(2):
        y = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
        x = kgp.layers.GatedAdd()([x, layers.BatchNormalization()(y)])
    return inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))


SOFT_NETWORKS = [
    conv_chain,
    residual,
    depthwise,
    dense,
    branch_ends_in_relu,
    norm_without_scale,
    only_gates,
]


def test_units_are_multiplied_by_their_presence():
    model = soft(dense((3,)), logits=[-1.0, 0.0, 2.0])
    x, _ = examples(model)
    kernel, bias, reads, last = model.get_weights()[:4]
    hidden = np.maximum(x @ kernel + bias, 0) * sigmoid(np.array([-1, 0, 2]))
    expected = hidden @ reads + last
    np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-6)


def test_a_branch_is_multiplied_by_its_presence():
    model = soft(only_gates(), gate_logits=[0.7, -0.4])
    x, _ = examples(model)
    plain = keras.Model(
        model.inputs, [model.layers[1].output, model.layers[3].output]
    )
    assert isinstance(model.layers[3], layers.BatchNormalization)
    shortcut, branch = plain(x)
    model._growth.network.gates.layer_gate.logits.assign([0.7, -99.0])
    pooled = np.mean(shortcut + sigmoid(0.7) * branch, axis=(1, 2))
    kernel, bias = model.layers[-1].get_weights()
    expected = pooled @ kernel + bias
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", SOFT_NETWORKS)
def test_compact_folds_soft_gates_and_settling_changes_nothing(network):
    random = np.random.default_rng(0)
    model = soft(network())
    randomize(model, random)
    x, _ = examples(model)
    expected = np.array(model(x))
    compact = model.compact()(x)
    np.testing.assert_allclose(compact, expected, rtol=1e-5, atol=1e-5)
    assert "StructureGate" not in str(model.compact().get_config())
    model.settle()
    np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-5)
    compact = model.compact()(x)
    np.testing.assert_allclose(compact, expected, rtol=1e-5, atol=1e-5)


def test_compact_equals_the_gated_network_in_random_structures():
    random = np.random.default_rng(0)
    model = soft(residual(5, blocks=2, inner=3))
    x, _ = examples(model)
    for _ in range(4):
        model.restructure(random_structure(model, random))
        randomize(model, random)
        np.testing.assert_allclose(
            model.compact()(x), model(x), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("lambda_base", [0.0, 5.0])
def test_a_gradient_reaches_the_logits(lambda_base):
    """One step of plain gradient descent, against the derivative by hand."""
    budget = kgp.Budget(flops=0.4)
    model = soft(
        dense((3,)), [0.5, -0.5, 1.5], budget=budget, lambda_base=lambda_base
    )
    compile_model(model, SGD(1.0))
    x, y = examples(model, 16)
    kernel, bias, reads, last = model.get_weights()[:4]
    logits = tf.Variable([0.5, -0.5, 1.5])
    with tf.GradientTape() as tape:
        presence = tf.sigmoid(logits)
        hidden = tf.nn.relu(x @ kernel + bias) * presence
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(
                y, hidden @ reads + last
            )
        )
        # All units cost the mean; at full width, so 1 - 0.4 too much.
        loss += lambda_base * (1.0 - 0.4) * tf.reduce_sum(presence)
    gradient = tape.gradient(loss, logits)
    assert np.abs(gradient).min() > 1e-4
    model.fit(x, y, batch_size=16, verbose=0, growth_epochs=50)
    after = model._growth.network.gates.unit_gate.logits
    np.testing.assert_allclose(
        after, [0.5, -0.5, 1.5] - gradient, rtol=1e-4, atol=1e-6
    )


def test_units_are_penalized_by_their_cost_relative_to_the_mean():
    # A unit of the first layer has 5 + 1 + 3 parameters, one of the second
    # 2 + 1 + 3; the mean of two and three of them is 7.2.
    logits = np.array([0.5, -0.5, 1.5, -2.0, 0.0])
    model = soft(dense((2, 3)), logits, budget=kgp.Budget(params=0.9))
    model._growth._prepare_gates()
    penalty = model._growth.network.plan.penalty(
        np.array([0.25, 9.0], "float32")
    )
    costs = np.array([9, 9, 6, 6, 6]) / 7.2
    expected = 0.25 * np.sum(costs * sigmoid(logits))
    assert float(penalty) == pytest.approx(expected, rel=1e-6)


def test_the_penalty_is_no_part_of_the_loss_that_is_shown():
    losses = []
    for strength in (0.0, 100.0):
        keras.utils.set_random_seed(0)
        budget = kgp.Budget(flops=0.4)
        model = soft(dense((3,)), budget=budget, lambda_base=strength)
        compile_model(model, SGD(0.0))
        losses += fit(model, epochs=1, growth_epochs=50)["loss"]
    assert losses[0] == losses[1]


def test_swapped_units_of_equal_widths_use_their_own_logits():
    logits = [-3.0, -1.0, 1.0, 3.0]
    model = compile_model(soft(dense((4,)), logits), SGD(0.0))
    x, y = examples(model)
    model.restructure(with_units(model, [0, 1]))
    model.predict(x, verbose=0)
    model.train_on_batch(x, y)
    model.restructure(with_units(model, [2, 3]))
    expected = np.array(model(x))
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
    model.reset_metrics()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(
        model.train_on_batch(x, y), loss(y, expected), rtol=1e-5
    )


def test_structures_are_sampled_and_the_run_lands_on_the_budget():
    schedule = kgp.GrowthSchedule(0.25, 0.8, 0.2, 0.75)
    model = grow(dense((8, 6)), rule="paper", schedule=schedule)
    compile_model(model, "adam")
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(model.structure.units.tolist())

    history = fit(model, epochs=4, callbacks=[Look()])
    assert len({str(units) for units in seen}) == 4
    assert history["settled"] == [0, 0, 0, 1]
    assert history["cost"][-1] <= 0.5
    for cost, price in zip(history["cost"][:3], history["price"]):
        assert price == pytest.approx(cost - 0.5)
    assert history["price"][-1] == 0
    assert model.rule == "paper"


def test_units_that_were_in_the_network_harden():
    model = compile_model(soft(dense((4,)), [1.0] * 4), SGD(0.0))
    gate = model._growth.network.gates.unit_gate
    fit(model, epochs=1, growth_epochs=4)
    model.restructure(with_units(model, [0, 1]))
    expected = [sigmoid(100 ** (1 / 4))] * 4
    np.testing.assert_allclose(gate.presence(), expected, rtol=1e-5)


def test_the_length_of_the_run_reaches_traces_made_earlier():
    model = soft(dense((4,)), [0.3] * 4, lambda_base=0.0)
    compile_model(model, SGD(0.0))
    model._growth.blueprint.schedule.restructure_every = 1000
    x, y = examples(model, 16)
    run = {"batch_size": 16, "verbose": 0}
    model.fit(x, y, growth_epochs=1000, **run)
    history = model.fit(x, y, growth_epochs=4, **run).history
    assert not model.settled  # age 1 of 4 epochs, in the structure it was
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    expected = float(loss(y, model(x)))
    assert history["loss"][0] == pytest.approx(expected, rel=1e-4)

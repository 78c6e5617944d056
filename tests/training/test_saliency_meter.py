"""Saliencies read from gradients: equal to those of an explicit factor."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_growprune as kgp
from keras_growprune.structure import Structure
from tests.networks import FULL
from tests.networks import build_optimizer
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import mark_as_lived
from tests.networks import plain_chain
from tests.networks import randomize
from tests.networks import residual
from tests.networks import with_units

STILL = keras.optimizers.SGD


def loss_of(model, y, outputs):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return loss(y, outputs)


def measured_derivatives(model, x, y):
    """`m dL/dm` of one batch: without a variance, minus the saliency."""
    compile_model(model, STILL(0.0))
    model._growth.network.meter.reset(measures=True)
    model.train_on_batch(x, y)
    read = model._growth.network.meter.read()
    return -read["units"], -read["gates"]


def chain_with_factors(model, x, factors, after):
    """Runs a chain of layers by hand, with factors after some of them."""
    factors = list(factors)
    for layer in model.layers[1:]:
        if isinstance(layer, layers.BatchNormalization):
            x = layer(x, training=True)
        elif isinstance(layer, kgp.layers.GrowableDense):
            x = tf.matmul(x, layer.kernel) + layer.bias
        else:
            x = layer(x)
        if isinstance(layer, after):
            x = x * factors.pop(0)
            if getattr(layer, "activation", None) is not None:
                x = layer.activation(x)
    assert not factors
    return x


def chain_derivatives(model, x, y, after):
    factors = [tf.ones(int(width)) for width in model.widths.values()]
    with tf.GradientTape() as tape:
        tape.watch(factors)
        loss = loss_of(model, y, chain_with_factors(model, x, factors, after))
    return np.concatenate(tape.gradient(loss, factors))


def penalized_chain():
    penalty = keras.regularizers.L2(0.5)
    inputs = x = keras.Input((6, 6, 2))
    for filters in (4, 5):
        x = kgp.layers.GrowableConv2D(
            filters, 3, use_bias=False, kernel_regularizer=penalty
        )(x)
        x = layers.BatchNormalization(
            gamma_regularizer=penalty, beta_regularizer=penalty
        )(x)
        x = layers.ReLU()(x)
    return inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))


def chain_without_scale():
    inputs = x = keras.Input((6, 6, 2))
    for filters in (4, 5):
        x = kgp.layers.GrowableConv2D(filters, 3, use_bias=False)(x)
        x = layers.BatchNormalization(scale=False)(x)
        x = layers.ReLU()(x)
    return inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))


def activated_dense():
    inputs = x = keras.Input((5,))
    for units in (5, 4):
        x = kgp.layers.GrowableDense(units, activation="tanh")(x)
    return inputs, layers.Dense(3)(x)


NORM, DENSE = layers.BatchNormalization, kgp.layers.GrowableDense


@pytest.mark.parametrize(
    "network,after",
    [
        (conv_chain, NORM),
        (penalized_chain, NORM),
        (chain_without_scale, NORM),
        (activated_dense, DENSE),
    ],
)
def test_equals_the_derivative_by_an_explicit_factor(network, after):
    model = grow(network(), schedule=FULL)
    model.restructure(with_units(model, [0, 2, 3], [1, 2]))
    randomize(model, np.random.default_rng(0))
    x, y = examples(model)
    expected = chain_derivatives(model, x, y, after)
    units, _ = measured_derivatives(model, x, y)
    assert np.isnan(units).tolist() == (~model.structure.units).tolist()
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(
        units[model.structure.units], expected, rtol=1e-5, atol=1e-6
    )


def test_a_skips_saliency_is_that_of_the_way_from_its_input_to_its_branch():
    model = grow(plain_chain(4, count=2), schedule=FULL)
    randomize(model, np.random.default_rng(0))
    x, y = examples(model)
    m = tf.ones(())
    with tf.GradientTape() as tape:
        tape.watch(m)
        shortcut = x
        for layer in model.layers[1:4]:
            shortcut = layer(shortcut, training=True)
        branch = shortcut
        for layer in model.layers[4:7]:
            branch = layer(branch, training=True)
        outputs = shortcut + m * (branch - shortcut)
        for layer in model.layers[8:]:
            outputs = layer(outputs)
        loss = loss_of(model, y, outputs)
    expected = tape.gradient(loss, m)
    _, gates = measured_derivatives(model, x, y)
    assert abs(expected) > 1e-4
    np.testing.assert_allclose(gates, [expected], rtol=1e-5, atol=1e-6)


def test_a_blocks_saliency_is_that_of_one_factor_on_its_branch():
    model = grow(residual(4), schedule=FULL)
    randomize(model, np.random.default_rng(0))
    x, y = examples(model)
    m = tf.ones(())
    with tf.GradientTape() as tape:
        tape.watch(m)
        shortcut = x
        for layer in model.layers[1:4]:
            shortcut = layer(shortcut, training=True)
        branch = shortcut
        for layer in model.layers[4:9]:
            branch = layer(branch, training=True)
        outputs = shortcut + m * branch
        for layer in model.layers[10:]:
            outputs = layer(outputs)
        loss = loss_of(model, y, outputs)
    assert isinstance(model.layers[8], layers.BatchNormalization)
    expected = float(tape.gradient(loss, m))
    _, gates = measured_derivatives(model, x, y)
    assert abs(expected) > 0.01
    np.testing.assert_allclose(gates, [expected], rtol=1e-5, atol=1e-6)


def planted():
    """Unit 0 alone tells the class; nobody reads unit 1."""
    inputs = keras.Input((2,))
    hidden = kgp.layers.GrowableDense(2)(inputs)
    model = grow((inputs, layers.Dense(2)(hidden)), schedule=FULL)
    reads = np.array([[-2.0, 2.0], [0.0, 0.0]])
    model.set_weights([np.eye(2), np.zeros(2), reads, np.zeros(2)])
    x = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    return model, x, (x[:, 0] > 0).astype(int)


def test_a_planted_useless_unit_is_worth_nothing_and_a_vital_one_a_lot():
    model, x, y = planted()
    compile_model(model, STILL(0.0))
    full = model.evaluate(x, y, verbose=0)
    model.fit(x, y, batch_size=8, verbose=0, growth_epochs=10)
    vital, useless = model._growth.state.saliency
    assert useless == 0.0
    assert vital > 0.1
    model.restructure(Structure([False, True], []))
    assert model.evaluate(x, y, verbose=0) > full + 0.1


def test_the_useless_unit_is_the_one_that_goes():
    model, x, y = planted()
    compile_model(model, STILL(0.0))
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    assert model.structure.units.tolist() == [True, False]


def test_worth_is_variance_less_mean_over_the_steps_of_the_epoch():
    model = grow(dense((3,)), schedule=FULL)
    compile_model(model, STILL(0.0))
    model.restructure(with_units(model, [0, 1, 2]))
    x, y = examples(model, 24)
    t = np.array(
        [
            chain_derivatives(model, x[i : i + 8], y[i : i + 8], DENSE)
            for i in (0, 8, 16)
        ]
    )
    fit(model, epochs=1, count=24, batch_size=8, growth_epochs=9)
    expected = 8 / 2 * t.var(axis=0) - t.mean(axis=0)
    np.testing.assert_allclose(
        model._growth.state.saliency, expected, rtol=1e-4, atol=1e-7
    )


def test_what_is_out_of_the_graph_keeps_its_worth():
    model = grow(residual(4, inner=3), schedule=FULL)
    build_optimizer(model, STILL(0.0))
    fit(model, epochs=1, growth_epochs=99)
    state = model._growth.state
    inner = model.groups[1].slice
    before = state.saliency[inner].copy(), state.gate_saliency.copy()
    mark_as_lived(model)
    model.restructure(Structure(model.structure.units, [False]))
    model._growth.network.meter.reset(measures=True)
    x, y = examples(model)
    model.train_on_batch(x, y)
    read = model._growth.network.meter.read()
    assert np.isnan(read["units"][inner]).all()
    assert not np.isnan(read["units"][model.groups[0].slice]).any()
    assert np.isnan(read["gates"]).all()
    state.observe(read["units"], read["gates"])
    np.testing.assert_array_equal(state.saliency[inner], before[0])
    np.testing.assert_array_equal(state.gate_saliency, before[1])

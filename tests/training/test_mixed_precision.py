"""float16: loss scaling, batches that overflow, gradients unscaled."""

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from tests.networks import FULL
from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import residual

optimizers = keras.optimizers


def scaled(scale):
    return optimizers.LossScaleOptimizer(
        optimizers.SGD(0.0), initial_scale=scale, dynamic_growth_steps=1000
    )


def saliency(optimizer, x, y):
    keras.utils.set_random_seed(0)
    model = compile_model(grow(residual(4), schedule=FULL), optimizer)
    model.fit(x, y, batch_size=16, verbose=0, shuffle=False, growth_epochs=9)
    state = model._growth.state
    return model, np.append(state.saliency, state.gate_saliency)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "policy,rule",
    [
        ("mixed_float16", "saliency"),
        ("mixed_float16", "paper"),
        ("mixed_bfloat16", "saliency"),
    ],
)
def test_a_network_grows_and_settles(policy, rule):
    keras.config.set_dtype_policy(policy)
    model = compile_model(grow(conv_chain((5,)), rule=rule), "adam")
    is_scaled = isinstance(model.optimizer, optimizers.LossScaleOptimizer)
    assert is_scaled == (policy == "mixed_float16")
    history = fit(model, epochs=2)
    assert np.isfinite(history["loss"]).all()
    assert history["settled"][-1] == 1 and history["cost"][-1] <= 0.5
    assert model.layers[1].compute_dtype == policy.split("_")[1]
    assert model.layers[1].kernel.dtype == "float32"
    x, _ = examples(model)
    expected = np.array(model(x), dtype="float32")
    compact = np.array(model.compact()(x), dtype="float32")
    np.testing.assert_allclose(compact, expected, atol=0.02)


def test_gradients_count_as_saliency_without_the_loss_scale():
    x, y = examples(grow(residual(4)))
    _, plain = saliency(optimizers.SGD(0.0), x, y)
    _, with_scale = saliency(scaled(2.0**10), x, y)
    assert np.abs(plain).max() > 1e-3
    np.testing.assert_allclose(with_scale, plain, rtol=1e-4, atol=1e-7)


def test_weight_penalties_are_left_out_under_a_loss_scale_too():
    penalty = keras.regularizers.L2(0.5)
    worth = []
    for regularizer in (None, penalty):
        keras.utils.set_random_seed(0)
        network = conv_chain((4,), norm=False, kernel_regularizer=regularizer)
        model = compile_model(grow(network, schedule=FULL), scaled(2.0**10))
        fit(model, epochs=1, growth_epochs=9)
        worth.append(model._growth.state.saliency)
    np.testing.assert_allclose(worth[1], worth[0], rtol=1e-4, atol=1e-6)


def test_a_scale_that_overflows_at_first_costs_a_batch_and_nothing_else():
    keras.config.set_dtype_policy("mixed_float16")
    x, y = examples(grow(residual(4)), 48)
    optimizer = optimizers.LossScaleOptimizer(
        optimizers.SGD(0.0), initial_scale=2.0**40
    )
    model, worth = saliency(optimizer, x, y)
    assert np.isnan(worth).all()  # nothing was measured, and nothing is NaN
    assert np.isfinite([np.sum(v.numpy()) for v in model.variables]).all()
    assert float(optimizer.dynamic_scale.numpy()) == 2.0**37
    measured = model._growth.network.meter.read()
    assert measured["steps"] == 0  # a new epoch


def test_some_batches_that_overflow_do_not_count_as_steps():
    keras.config.set_dtype_policy("mixed_float16")
    model = grow(conv_chain((4,), norm=False), schedule=FULL)
    compile_model(model, scaled(4.0))
    model._growth.network.meter.reset(measures=True)
    x, y = examples(model, 16)
    model.train_on_batch(x, y)
    before = model._growth.network.meter.read()["units"]
    weights = [v.numpy() for v in model.trainable_variables]
    model.train_on_batch(x * np.float32(6e4), y)
    read = model._growth.network.meter.read()
    np.testing.assert_array_equal(read["units"], before)
    assert read["steps"] == 2 and read["examples"] == 32
    assert_same_bits(weights, model.trainable_variables)


def test_the_log_entries_are_plain_floats():
    keras.config.set_dtype_policy("mixed_float16")
    model = compile_model(grow(conv_chain((4,)), kgp.Budget(params=0.6)))
    history = fit(model, epochs=2)
    for name in ("cost", "flops", "params", "price", "settled"):
        assert all(type(value) is float for value in history[name])

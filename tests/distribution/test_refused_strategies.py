"""What cannot work is refused before anything is touched."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp
from tests.distribution import replicas
from tests.distribution.replicas import sgd
from tests.distribution.replicas import two_replicas

BUDGET = kgp.Budget(flops=0.5)


def model_of_two_replicas():
    with two_replicas().scope():
        return kgp.GrowPruneModel(*replicas.residual(1), BUDGET, seed=0)


def fit(model):
    x, y = replicas.data(model, 32)
    before = model.structure
    weights = [variable.numpy() for variable in model.variables]
    try:
        model.fit(x, y, batch_size=16, epochs=3, verbose=0)
    finally:
        assert model.structure == before
        for variable, value in zip(model.variables, weights):
            np.testing.assert_array_equal(variable.numpy(), value)


def test_strategies_without_synchronous_replicas_are_refused():
    strategy = tf.distribute.experimental.CentralStorageStrategy()
    with strategy.scope():
        network = replicas.residual(1)
        with pytest.raises(ValueError, match="Received: CentralStorage.*Use"):
            kgp.GrowPruneModel(*network, BUDGET)


def test_a_strategy_with_parameter_servers_is_refused():
    class ParameterServerStrategyV2(tf.distribute.OneDeviceStrategy):
        pass  # the real one needs servers that run

    with ParameterServerStrategyV2("CPU:0").scope():
        network = replicas.residual(1)
        with pytest.raises(ValueError, match="asynchronously, each on weights"):
            kgp.GrowPruneModel(*network, BUDGET)


def test_the_distribution_of_other_backends_is_refused():
    try:
        distribution = keras.distribution.DataParallel(devices=["cpu:0"])
    except AttributeError:
        pytest.skip("this version of Keras has none for TensorFlow")
    network = replicas.residual(1)
    keras.distribution.set_distribution(distribution)
    try:
        with pytest.raises(ValueError, match="without effect on Keras's"):
            kgp.GrowPruneModel(*network, BUDGET)
    finally:
        keras.distribution.set_distribution(None)


def test_fit_in_a_scope_that_the_model_was_not_made_in_is_refused():
    model = kgp.GrowPruneModel(*replicas.residual(1), BUDGET)
    model.compile(sgd(), "mse")
    with two_replicas().scope():
        with pytest.raises(ValueError, match="one that was made outside"):
            fit(model)


def test_an_optimizer_of_another_scope_is_refused():
    model = model_of_two_replicas()
    model.compile(sgd(), "mse")
    with pytest.raises(ValueError, match="an optimizer made in the same scope"):
        fit(model)


@pytest.mark.parametrize(
    "settings",
    [
        dict(gradient_accumulation_steps=2),
        dict(use_ema=True, ema_overwrite_frequency=3),
    ],
)
def test_updates_in_some_steps_only_are_refused(settings):
    model = model_of_two_replicas()
    with two_replicas().scope():
        model.compile(sgd(**settings), "mse")
    with pytest.raises(ValueError, match=f"without `{list(settings)[-1]}`"):
        fit(model)

"""Two replicas take the decisions of one device.

In double precision: what is left of the difference is not by rounding.
"""

import contextlib
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp
from tests.distribution import replicas
from tests.distribution.replicas import Run
from tests.distribution.replicas import sgd
from tests.distribution.replicas import two_replicas


class OwnStep(kgp.GrowPruneModel):
    """Trains in a way of its own."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        variables = self.trainable_variables
        count = tf.distribute.get_strategy().num_replicas_in_sync
        self._loss_tracker.update_state(loss * count)
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables))
        return {"loss": self._loss_tracker.result()}


def loss_scaled():
    return keras.optimizers.LossScaleOptimizer(sgd())


def adamw():
    return keras.optimizers.AdamW(1e-3)


CASES = {
    "residual": dict(network=replicas.residual),
}
MORE = {
    "skips": dict(network=replicas.skips),
    "recurrent": dict(network=replicas.recurrent),
    "inside": dict(network=replicas.residual, fits_inside=True),
    "clipped": dict(
        network=replicas.residual, optimizer=lambda: sgd(global_clipnorm=0.1)
    ),
    "clipped rows": dict(
        network=replicas.recurrent, optimizer=lambda: sgd(clipnorm=0.01)
    ),
    "loss scaled": dict(network=replicas.penalized, optimizer=loss_scaled),
    "Adam": dict(network=replicas.residual, optimizer=adamw),
    "paper": dict(network=replicas.residual, rule="paper"),
    "paper, recurrent": dict(network=replicas.recurrent, rule="paper"),
    "paper, own step": dict(
        network=replicas.residual, kind=OwnStep, rule="paper"
    ),
    "two optimizers": dict(
        network=replicas.residual,
        rule="paper",
        compile_with=dict(gate_optimizer="sgd"),
    ),
    "own step": dict(network=replicas.skips, kind=OwnStep),
    "penalized": dict(network=replicas.penalized),
    "penalized own step": dict(network=replicas.penalized, kind=OwnStep),
    "within epochs": dict(
        network=replicas.residual,
        schedule=kgp.GrowthSchedule(restructure_every=0.5),
    ),
    "eager": dict(
        network=replicas.residual, compile_with=dict(run_eagerly=True)
    ),
    "params": dict(network=replicas.residual, budget=kgp.Budget(params=0.4)),
}


@functools.cache
def on_two_replicas():
    """A training that several tests look at."""
    return Run(replicas.residual, two_replicas())


@functools.cache
def on_one_device():
    return Run(replicas.residual)


@pytest.fixture(autouse=True)
def double_precision():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")


# Before, Keras reported what the first replica had seen.
REPORTS_ALL_REPLICAS = (
    getattr(keras.metrics.Mean().total, "synchronization", "") == "on_read"
)


def assert_same(one, two):
    assert one.structures == two.structures
    for mine, other in zip(
        one.model.get_weights(), two.model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-7, atol=1e-9)
    if REPORTS_ALL_REPLICAS:
        np.testing.assert_allclose(one.losses, two.losses, rtol=1e-9)
    for name in ("examples", "cost", "units"):
        assert one.ledger(name) == two.ledger(name)


@pytest.mark.parametrize(
    "case",
    [
        *CASES,
        *(pytest.param(name, marks=pytest.mark.slow) for name in MORE),
    ],
)
def test_two_replicas_decide_and_train_as_one_device(case):
    arguments = {**CASES, **MORE}[case]
    if case == "residual":
        one, two = on_one_device(), on_two_replicas()
    else:
        one = Run(**{**arguments, "fits_inside": False})
        two = Run(strategy=two_replicas(), **arguments)
    assert one.changes() > 1
    assert_same(one, two)
    replicas.assert_replicas_agree(two.model)


@pytest.mark.slow
@pytest.mark.parametrize("norms", [None, "synchronized"])
def test_ten_epochs_of_the_digits_are_those_of_one_device(norms):
    def network():
        return replicas.digits_network(norms)

    one = replicas.OnDigits(network)
    two = replicas.OnDigits(network, two_replicas())
    assert one.changes() > 2
    assert one.structures == two.structures
    if REPORTS_ALL_REPLICAS:
        np.testing.assert_allclose(one.losses, two.losses, rtol=1e-6)


def test_a_change_takes_no_more_traces_than_on_one_device():
    one, two = on_one_device(), on_two_replicas()
    assert len(one.ledger("traces")) == len(two.ledger("traces"))
    for mine, other in zip(two.ledger("traces"), one.ledger("traces")):
        assert mine <= other
    assert sum(two.ledger("traces")) >= 1


def test_what_was_trained_answers_alike_everywhere(tmp_path):
    run = on_two_replicas()
    model, x = run.model, run.x
    expected = model.predict(x, verbose=0)
    rtol = dict(rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        model.compact().predict(x, verbose=0), expected, **rtol
    )
    model.save(tmp_path / "model.keras")
    for scope in (contextlib.nullcontext, two_replicas().scope):
        with scope():
            loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(
            loaded.predict(x, verbose=0), expected, **rtol
        )
        assert loaded.structure == model.structure
    np.testing.assert_allclose(
        loaded.evaluate(x, run.y, verbose=0),
        model.evaluate(x, run.y, verbose=0),
        **rtol,
    )


@pytest.mark.slow
def test_a_run_goes_on_on_another_number_of_replicas(tmp_path):
    strategy = two_replicas()
    whole = Run(replicas.residual, strategy, epochs=6)
    first = Run(replicas.residual, strategy, epochs=0)
    fit = dict(batch_size=16, verbose=0, shuffle=False, growth_epochs=6)
    first.model.fit(first.x, first.y, epochs=3, **fit)
    first.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    history = loaded.fit(first.x, first.y, initial_epoch=3, epochs=6, **fit)
    losses = history.history["loss"]
    np.testing.assert_allclose(losses, whole.losses[3:], rtol=1e-9)
    assert loaded.structure == whole.model.structure


@pytest.mark.slow
def test_callbacks_and_files_keep_the_replicas_equal(tmp_path):
    run = on_two_replicas()
    with two_replicas().scope():
        model = kgp.GrowPruneModel(
            *replicas.residual(), kgp.Budget(flops=0.5), seed=0
        )
        model.compile(sgd(use_ema=True), "mse", metrics=["mae"])
    x, y = run.x, np.eye(3)[run.y]
    model.fit(
        x,
        y,
        batch_size=16,
        epochs=6,
        verbose=0,
        validation_data=(x, y),
        callbacks=[
            keras.callbacks.EarlyStopping(
                patience=1, restore_best_weights=True, start_from_epoch=1
            ),
            keras.callbacks.ModelCheckpoint(tmp_path / "best.keras"),
            keras.callbacks.SwapEMAWeights(),
            kgp.callbacks.BackupAndRestore(tmp_path / "backup"),
        ],
    )
    replicas.assert_replicas_agree(model)
    weights = model.get_weights()
    model.fit(x, y, batch_size=16, epochs=1, verbose=0)
    model.set_weights(weights)
    replicas.assert_replicas_agree(model)
    model.save_weights(tmp_path / "model.weights.h5")
    model.load_weights(tmp_path / "model.weights.h5")
    replicas.assert_replicas_agree(model)
    model.recalibrate(x)
    replicas.assert_replicas_agree(model)
    before = replicas.copies(model)
    with pytest.raises(FileNotFoundError):
        model.load_weights(tmp_path / "none.weights.h5")
    for values, others in zip(before, replicas.copies(model)):
        np.testing.assert_array_equal(values, others)
    model.settle()
    replicas.assert_replicas_agree(model)
    model.export(tmp_path / "exported")

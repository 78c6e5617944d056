"""Two replicas take the decisions of one device.

In double precision: what is left of the difference is not by rounding.
"""

import contextlib

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


CASES = {
    "residual": dict(network=replicas.residual),
    "inside": dict(network=replicas.residual, fits_inside=True),
    "skips": dict(network=replicas.skips),
    "recurrent": dict(network=replicas.recurrent),
    "clipped": dict(
        network=replicas.residual, optimizer=lambda: sgd(global_clipnorm=0.1)
    ),
    "loss scaled": dict(network=replicas.penalized, optimizer=loss_scaled),
    "paper": dict(network=replicas.residual, rule="paper"),
    "own step": dict(network=replicas.skips, kind=OwnStep),
    "penalized own step": dict(network=replicas.penalized, kind=OwnStep),
}
MORE = {
    "penalized": dict(network=replicas.penalized),
    "paper, recurrent": dict(network=replicas.recurrent, rule="paper"),
    "paper, own step": dict(
        network=replicas.residual, kind=OwnStep, rule="paper"
    ),
    "two optimizers": dict(
        network=replicas.residual,
        rule="paper",
        compile_with=dict(gate_optimizer="sgd"),
    ),
    "Adam": dict(
        network=replicas.residual,
        optimizer=lambda: keras.optimizers.AdamW(1e-3),
    ),
    "clipped rows": dict(
        network=replicas.recurrent, optimizer=lambda: sgd(clipnorm=0.01)
    ),
    "within epochs": dict(
        network=replicas.residual,
        schedule=kgp.GrowthSchedule(restructure_every=0.5),
    ),
    "eager": dict(
        network=replicas.residual, compile_with=dict(run_eagerly=True)
    ),
    "params": dict(network=replicas.residual, budget=kgp.Budget(params=0.4)),
}


@pytest.fixture(autouse=True)
def double_precision():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")


def assert_same(one, two):
    assert one.structures == two.structures
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
    one = Run(**{**arguments, "fits_inside": False})
    two = Run(strategy=two_replicas(), **arguments)
    assert one.changes() > 1
    assert_same(one, two)
    replicas.assert_replicas_agree(two.model)


def test_a_change_takes_no_more_traces_than_on_one_device():
    one = Run(replicas.residual, epochs=8)
    two = Run(replicas.residual, two_replicas(), epochs=8)
    assert len(one.ledger("traces")) == len(two.ledger("traces"))
    for mine, other in zip(two.ledger("traces"), one.ledger("traces")):
        assert mine <= other
    assert sum(two.ledger("traces")) >= 1


def test_what_was_trained_answers_alike_everywhere(tmp_path):
    run = Run(replicas.residual, two_replicas())
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


def test_a_run_goes_on_on_another_number_of_replicas(tmp_path):
    strategy = two_replicas()
    whole = Run(replicas.residual, strategy, epochs=6)

    def half(strategy):
        run = Run(
            replicas.residual,
            strategy,
            epochs=0,
        )
        fit = dict(batch_size=16, verbose=0, shuffle=False, growth_epochs=6)
        return run, fit

    first, fit = half(strategy)
    first.model.fit(first.x, first.y, epochs=3, **fit)
    first.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    history = loaded.fit(first.x, first.y, initial_epoch=3, epochs=6, **fit)
    np.testing.assert_allclose(
        history.history["loss"], whole.losses[3:], rtol=1e-9
    )
    assert loaded.structure == whole.model.structure

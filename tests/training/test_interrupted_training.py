"""Ctrl-C or an error at any step leaves a model that goes on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp
from tests.networks import compile_model
from tests.networks import dense
from tests.networks import examples
from tests.networks import grow
from tests.networks import residual

EPOCHS = 4  # it changes at the beginning of all but the first
BUDGET = 0.5
EVENTS = (
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_epoch_end",
)


class RaiseAt(keras.callbacks.Callback):
    """Raises at an event: in the second batch, if it is one of batches."""

    def __init__(self, event, error):
        super().__init__()

        def act(*args, **kwargs):
            if "batch" not in event or args[0] == 1:
                raise error("here")

        setattr(self, event, act)


class Run:
    """A run that may be broken off."""

    def __init__(self, network, rule, path):
        schedule = kgp.GrowthSchedule(0.3, 0.9, 0.3, 0.7)
        budget = kgp.Budget(flops=BUDGET)
        self.model = grow(network(), budget, schedule=schedule, rule=rule)
        compile_model(self.model, "adam")
        self.x, self.y = examples(self.model, 24)
        self.path = path / "model.keras"

    def fit(self, epoch, *callbacks, data=None):
        """Trains epochs of a run whose length is known."""
        arrays = {"y": self.y, "batch_size": 8, "shuffle": False}
        return self.model.fit(
            self.x if data is None else data,
            **(arrays if data is None else {"steps_per_epoch": 3}),
            epochs=EPOCHS,
            initial_epoch=epoch,
            growth_epochs=EPOCHS,
            validation_data=(self.x[:16], self.y[:16]),
            validation_batch_size=8,
            callbacks=list(callbacks),
            verbose=0,
        ).history

    def check(self):
        """It predicts as its compact network does."""
        found = self.model.predict(self.x, verbose=0)
        assert np.isfinite(found).all()
        small = self.model.compact()
        np.testing.assert_allclose(small(self.x), found, 1e-5, 1e-5)

    def check_file(self):
        """It can be saved.

        Returns:
            The same model out of the file.
        """
        self.model.save(self.path)
        again = keras.models.load_model(self.path)
        assert again.structure == self.model.structure
        assert again.settled == self.model.settled
        found = [m.predict(self.x, verbose=0) for m in (self.model, again)]
        np.testing.assert_array_equal(*found)
        return again

    def check_end(self, epoch):
        """It is trained to the end."""
        history = self.fit(epoch)
        assert self.model.settled and history["cost"][-1] <= BUDGET
        assert np.isfinite(history["loss"] + history["val_loss"]).all()
        small = compile_model(self.model.compact())
        val_loss = small.evaluate(self.x[:16], self.y[:16], verbose=0)
        assert history["val_loss"][-1] == pytest.approx(val_loss, rel=1e-4)


@pytest.mark.parametrize(
    "network,rule,error",
    [
        (residual, "saliency", KeyboardInterrupt),
        (lambda: dense(norm="batch"), "paper", RuntimeError),
    ],
)
@pytest.mark.slow
def test_broken_off_at_every_event_of_every_epoch(
    network, rule, error, tmp_path
):
    run, structures, copies = Run(network, rule, tmp_path), [], {}
    for epoch in range(EPOCHS):
        # One with a change at all events, the others at their ends.
        for event in EVENTS if epoch == 2 else EVENTS[-1:]:
            with pytest.raises(error, match="here"):
                run.fit(epoch, RaiseAt(event, error))
            # An epoch that was broken off is trained anew, one that was only
            # not reported is not.
            is_whole = event == "on_epoch_end"
            assert len(run.model.ledger.epochs) == epoch + is_whole
            # Before the first step, even the change was not yet.
            has_steps = event not in EVENTS[:2]
            is_settled = epoch == EPOCHS - 1 and has_steps
            assert run.model.settled == is_settled
            structures.append(run.model.structure)
            if not has_steps and epoch:
                assert structures[-1] == structures[-2]
            run.check()
            if (epoch + EVENTS.index(event)) % 2:  # files take their time
                copies[epoch] = run.check_file()
    assert len(set(map(str, structures))) > 2
    run.check_end(EPOCHS - 1)
    assert copies
    for epoch in sorted(copies.keys() - {EPOCHS - 1}):
        run.model = copies[epoch]
        run.check_end(len(run.model.ledger.epochs))


def batches(run, error, last):
    for _ in range(last):
        yield run.x[:8], run.y[:8]
    raise error("here")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("last", [1, 4, 10])
def test_data_that_break_off(error, last, tmp_path):
    """While the first batch of an epoch is fetched, or one in its middle."""
    run = Run(residual, "saliency", tmp_path)
    with pytest.raises((error, tf.errors.OpError), match="here"):
        run.fit(0, data=batches(run, error, last))
    run.check()
    run.check_file()
    epoch = len(run.model.ledger.epochs)
    assert epoch == last // 3
    run.check_end(epoch)

"""A run that was broken off goes on as if nothing had been."""

import errno
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp
from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import dense
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import plain_chain
from tests.networks import residual

EPOCHS = 6


class Killed(BaseException):
    """Ends a run at a moment of its own."""


class KillAt(keras.callbacks.Callback):
    def __init__(self, epoch, when="end of a batch"):
        super().__init__()
        self.moment = epoch, when

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.ends((epoch, "begin"))

    def on_train_batch_end(self, batch, logs=None):
        self.ends((self.epoch, "end of a batch"))

    def ends(self, now):
        if now == self.moment:
            raise Killed


SCHEDULE = kgp.GrowthSchedule(0.3, 0.9, 0.3, 0.7)
SHALLOW = kgp.GrowthSchedule(0.2, 1.0, 0.6, 0.8, seed_shape="shallow")
HALVES = kgp.GrowthSchedule(0.3, 0.9, 0.3, 0.7, restructure_every=0.5)


def made(network=residual, schedule=SCHEDULE, **kwargs):
    """What the command of a training makes at first."""
    keras.utils.set_random_seed(7)
    model = grow(network(), schedule=schedule, **kwargs)
    return compile_model(model, keras.optimizers.Adam(0.01))


def run(folder, *callbacks, model=None, **kwargs):
    """The command: begins a training, or goes on with it."""
    model = model or made()
    backup = kgp.callbacks.BackupAndRestore(folder, **kwargs)
    history = fit(
        model, epochs=EPOCHS, shuffle=True, callbacks=[backup, *callbacks]
    )
    return model, history, backup


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def broken_off(folder, epoch, **kwargs):
    with pytest.raises(Killed):
        run(folder, KillAt(epoch), **kwargs)


def assert_same_runs(one, other):
    (model, history, _), (again, later, _) = one, other
    assert model.structure == again.structure
    assert_same_bits(model.weights, again.weights)
    assert_same_bits(model.optimizer.variables, again.optimizer.variables)
    for key, values in later.items():
        assert values == history[key][-len(values) :], key
    for record, same in zip(model.ledger.epochs, again.ledger.epochs):
        assert record["units"] == same["units"]
    assert len(model.ledger.epochs) == len(again.ledger.epochs)


@pytest.fixture
def whole(tmp_path):
    return run(tmp_path / "whole")


@pytest.mark.slow
def test_a_run_that_is_broken_off_again_and_again_is_the_same(whole, tmp_path):
    folder = tmp_path / "backups"
    for epoch, when in ((0, "begin"), (1, "end of a batch"), (4, "begin")):
        with pytest.raises(Killed):
            run(folder, KillAt(epoch, when))
    again = run(folder)
    assert again[2].restored_epoch == 4 and whole[2].restored_epoch == 0
    assert len(again[1]["loss"]) == EPOCHS - 4
    assert_same_runs(whole, again)
    assert not folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "network,kwargs",
    [
        (dense, {"rule": "paper"}),
        (plain_chain, {"schedule": SHALLOW, "budget": kgp.Budget(flops=0.9)}),
        (residual, {"schedule": HALVES}),
    ],
)
def test_other_rules_and_networks_go_on_too(network, kwargs, tmp_path):
    def model():
        return made(network, **kwargs)

    one = run(tmp_path / "whole", model=model())
    for epoch in (1, 2, 3):
        with pytest.raises(Killed):
            run(tmp_path / "backups", KillAt(epoch), model=model())
    assert_same_runs(one, run(tmp_path / "backups", model=model()))


@pytest.mark.slow
def test_of_data_of_unknown_length_the_steps_are_known_again(tmp_path):
    def train(folder, *callbacks):
        model = made(schedule=HALVES)
        x, y = examples(model)
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
        data = data.filter(lambda x, y: True)
        backup = kgp.callbacks.BackupAndRestore(folder)
        callbacks = [backup, *callbacks]
        model.fit(data, epochs=EPOCHS, callbacks=callbacks, verbose=0)
        return model

    one = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "backups", KillAt(2))
    again = train(tmp_path / "backups")
    assert_same_bits(one.weights, again.weights)
    assert len(one.ledger.epochs) == len(again.ledger.epochs) > EPOCHS


@pytest.mark.slow
def test_random_numbers_go_on_where_they_were(tmp_path):
    class Draws(keras.callbacks.Callback):
        drawn = {}

        def on_epoch_begin(self, epoch, logs=None):
            numbers = [
                random.random(),
                np.random.random(),
                float(keras.random.uniform(())),
            ]
            assert self.drawn.setdefault(epoch, numbers) == numbers

    run(tmp_path / "whole", Draws())
    keras.utils.clear_session()  # as in a process of its own
    with pytest.raises(Killed):
        run(tmp_path / "backups", Draws(), KillAt(2))
    keras.utils.clear_session()
    run(tmp_path / "backups", Draws())
    assert len({tuple(each) for each in Draws.drawn.values()}) == EPOCHS


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("truncated", marks=pytest.mark.slow),
        "flipped",
        pytest.param("empty", marks=pytest.mark.slow),
    ],
)
def test_of_a_damaged_backup_the_one_before_is_used(damage, whole, tmp_path):
    folder = tmp_path / "backups"
    broken_off(folder, 3)
    before, newest = names(folder)
    content = bytearray((folder / newest).read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    else:
        content = content[: len(content) // 2 if damage == "truncated" else 0]
    (folder / newest).write_bytes(content)
    with pytest.warns(UserWarning, match=f"{newest}.*damaged"):
        with pytest.raises(Killed):
            run(folder, KillAt(4))
    assert newest not in names(folder) and before not in names(folder)
    again = run(folder)
    assert again[2].restored_epoch == 4
    assert_same_runs(whole, again)


@pytest.mark.slow
def test_without_a_whole_backup_the_run_begins_anew(whole, tmp_path):
    folder = tmp_path / "backups"
    broken_off(folder, 2)
    for path in folder.iterdir():
        path.write_bytes(b"nothing")
    with pytest.warns(UserWarning, match="begins anew"):
        again = run(folder)
    assert len(again[1]["loss"]) == EPOCHS
    assert_same_runs(whole, again)


@pytest.mark.slow
def test_it_keeps_two_backups_or_one_and_nothing_else_of_its_own(tmp_path):
    for count, double in ((2, True), (1, False)):
        folder = tmp_path / str(count)
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        left = folder / f".01234567.backup-000001-{'0' * 16}.weights.h5"
        left.write_bytes(b"of a killed process")
        broken_off(folder, 4, double_checkpoint=double)
        numbers = [name.split("-")[1] for name in names(folder)[:-1]]
        assert numbers == ["000003", "000004"][-count:]
        run(folder, double_checkpoint=double)
        assert names(folder) == ["notes.txt"]


@pytest.mark.slow
def test_backups_may_stay_when_the_run_has_ended(whole, tmp_path):
    folder = tmp_path / "backups"
    model, _, _ = run(folder, delete_checkpoint=False)
    assert len(names(folder)) == 2
    again, history, backup = run(folder, delete_checkpoint=False)
    assert backup.restored_epoch == EPOCHS and not history
    assert_same_bits(model.weights, again.weights)
    # Further calls of `fit` begin where they are told to.
    assert len(fit(again, epochs=2)["loss"]) == 2


def test_a_backup_of_a_longer_run_is_refused_and_stays(tmp_path):
    folder = tmp_path / "backups"
    broken_off(folder, 4)
    before = names(folder)
    model = made()
    weights = model.get_weights()
    backup = kgp.callbacks.BackupAndRestore(folder)
    with pytest.raises(ValueError, match="had 4 epochs.*Received: epochs=3"):
        fit(model, epochs=3, callbacks=[backup])
    assert names(folder) == before
    for one, other in zip(weights, model.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_backups_are_deleted_when_one_asks_for_it(tmp_path):
    folder = tmp_path / "backups"
    _, _, backup = run(folder, delete_checkpoint=False)
    assert len(names(folder)) == 2
    (folder / "notes.txt").write_text("mine")
    backup.delete()
    assert names(folder) == ["notes.txt"]
    backup.delete()


@pytest.mark.slow
def test_a_later_call_of_fit_begins_where_it_is_told_to(tmp_path):
    folder = tmp_path / "backups"
    broken_off(folder, 2)
    model = made()
    with pytest.raises(Killed):  # after it went on with epoch 2
        run(folder, KillAt(3), model=model)
    assert len(fit(model, epochs=2)["loss"]) == 2


@pytest.mark.slow
def test_a_full_disk_leaves_the_backups_there_are(tmp_path, monkeypatch):
    folder = tmp_path / "backups"
    broken_off(folder, 2)
    before = names(folder)

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="backup-000003.*No space.*untouched"):
        run(folder)
    assert names(folder) == before
    monkeypatch.undo()
    assert run(folder)[2].restored_epoch == 2


def test_a_backup_of_another_network_is_refused(tmp_path):
    folder = tmp_path / "backups"
    broken_off(folder, 2)
    model = made(lambda: residual(5))
    before = [v.numpy() for v in model.variables]
    with pytest.raises(ValueError, match="another network"):
        run(folder, model=model)
    assert_same_bits(before, model.variables)
    assert len(names(folder)) == 2


def test_plain_models_have_backups_too(tmp_path):
    def model():
        keras.utils.set_random_seed(3)
        inputs = keras.Input((5,))
        x = keras.layers.Dropout(0.5)(keras.layers.Dense(8)(inputs))
        model = keras.Model(inputs, keras.layers.Dense(3)(x))
        return compile_model(model, keras.optimizers.Adam(0.01))

    def train(model, *callbacks):
        backup = kgp.callbacks.BackupAndRestore(tmp_path / "backups")
        x, y = examples(model)
        callbacks = [backup, *callbacks]
        model.fit(x, y, epochs=5, callbacks=callbacks, verbose=0)
        return model

    one = train(model())
    with pytest.raises(Killed):
        train(model(), KillAt(3))
    assert_same_bits(one.weights, train(model()).weights)


@pytest.mark.parametrize(
    "arguments,told",
    [
        ({"backup_dir": ""}, "backup_dir"),
        ({"backup_dir": "gs://bucket/run"}, "local folder"),
        ({"backup_dir": "here", "save_freq": 10}, "'epoch'.*save_freq=10"),
    ],
)
def test_arguments_that_it_has_not_are_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        kgp.callbacks.BackupAndRestore(**arguments)

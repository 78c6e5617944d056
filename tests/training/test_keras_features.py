"""What Keras users know keeps working on a model that grows."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_growprune as kgp
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import residual

ENTRIES = {"cost", "flops", "params", "price", "settled"}


class Logs(keras.callbacks.Callback):
    """Collects what callbacks are told."""

    def __init__(self):
        super().__init__()
        self.epochs, self.widths, self.calls = [], [], []

    def on_train_begin(self, logs=None):
        self.calls.append("train")

    def on_epoch_begin(self, epoch, logs=None):
        self.widths.append(tuple(self.model.widths.values()))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(dict(logs))


def twin_losses(**kwargs):
    """First epoch of the growing network and of its compact twin."""
    model = grow(dense((6, 5)), seed=1)
    twin = compile_model(model.compact(), "adam")
    compile_model(model, "adam")
    ours = fit(model, epochs=1, growth_epochs=9, **kwargs)["loss"]
    return ours, fit(twin, epochs=1, **kwargs)["loss"]


def test_user_callbacks_see_the_new_structure_and_the_log_entries():
    model, logs = compile_model(grow(conv_chain())), Logs()
    history = fit(model, epochs=3, callbacks=[logs])
    assert logs.calls == ["train"]
    assert all(ENTRIES <= set(entry) for entry in logs.epochs)
    for name in ENTRIES:
        assert history[name] == [entry[name] for entry in logs.epochs]
    seen = [tuple(record["units"]) for record in model.ledger.epochs]
    assert logs.widths == seen
    assert len(set(logs.widths)) > 1
    assert history["settled"] == [0.0, 0.0, 1.0]


def test_a_single_callback_and_a_ready_list_work_alike():
    histories = []
    for ready in (False, True):
        keras.utils.set_random_seed(0)
        model, logs = compile_model(grow(conv_chain())), Logs()
        callbacks = logs
        if ready:
            callbacks = keras.callbacks.CallbackList(
                [logs], add_history=True, model=model, epochs=3
            )
            before = list(callbacks.callbacks)
        histories.append(fit(model, epochs=3, callbacks=callbacks))
        assert [set(e) for e in logs.epochs] == [ENTRIES | {"loss"}] * 3
    assert callbacks.callbacks == before  # ours is out again
    assert histories[0] == histories[1]


def test_a_ready_list_is_given_back_as_it_was_after_an_error():
    model = compile_model(grow(conv_chain()))
    callbacks = keras.callbacks.CallbackList([Logs()], model=model)
    before = list(callbacks.callbacks)
    with pytest.raises(ValueError):
        model.fit(np.zeros((4, 1)), np.zeros(4), callbacks=callbacks, verbose=0)
    assert callbacks.callbacks == before


def test_class_weights_count_as_in_a_plain_network():
    ours, plain = twin_losses(class_weight={0: 5.0, 1: 0.1, 2: 1.0})
    assert ours == pytest.approx(plain, rel=1e-5)
    assert ours != pytest.approx(twin_losses()[0], rel=1e-3)


def test_sample_weights_count_as_in_a_plain_network():
    weights = np.linspace(0, 3, 32)
    ours, plain = twin_losses(sample_weight=weights)
    assert ours == pytest.approx(plain, rel=1e-5)
    assert ours != pytest.approx(twin_losses()[0], rel=1e-3)


def test_examples_without_weight_are_worth_nothing():
    model = compile_model(grow(dense((6, 5))), keras.optimizers.SGD(0.0))
    fit(model, epochs=1, growth_epochs=9, sample_weight=np.zeros(32))
    worth = model._growth.state.saliency[model.structure.units]
    assert worth.tolist() == [0.0] * len(worth)


def test_data_sets_steps_per_epoch_and_several_steps_a_call():
    model = compile_model(grow(conv_chain()), steps_per_execution=2)
    x, y = examples(model, 64)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8).repeat()
    history = model.fit(data, epochs=3, steps_per_epoch=4, verbose=0).history
    assert history["settled"] == [0, 0, 1]
    assert [r["examples"] for r in model.ledger.epochs] == [32, 32, 32]


def test_several_steps_a_call_measure_the_same():
    worth = []
    for steps in (1, 2):
        keras.utils.set_random_seed(0)
        model = grow(dense((6, 5)))
        compile_model(model, "adam", steps_per_execution=steps)
        fit(model, epochs=1, growth_epochs=9)
        worth.append(model._growth.state.saliency)
    np.testing.assert_allclose(worth[0], worth[1], rtol=1e-4)


def test_validation_data_is_evaluated_on_the_network_of_the_epoch():
    model = compile_model(grow(conv_chain()), metrics=["accuracy"])
    x, y = examples(model)
    history = fit(model, epochs=3, validation_data=(x, y))
    assert len(history["val_accuracy"]) == 3
    expected = model.evaluate(x, y, verbose=0)
    assert history["val_loss"][-1] == pytest.approx(expected[0], rel=1e-5)


def test_learning_rates_follow_schedules_and_callbacks_across_restructuring():
    decay = keras.optimizers.schedules.PiecewiseConstantDecay([3], [0.1, 0.01])
    model = compile_model(grow(conv_chain()), keras.optimizers.SGD(decay))
    fit(model, epochs=3)  # two steps an epoch
    assert int(model.optimizer.iterations.numpy()) == 6
    assert float(model.optimizer.learning_rate.numpy()) == np.float32(0.01)
    model = compile_model(grow(conv_chain()), keras.optimizers.SGD(0.1))
    halve = keras.callbacks.LearningRateScheduler(lambda e, lr: lr / 2)
    fit(model, epochs=3, callbacks=[halve])
    assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(0.0125)


def test_a_run_in_pieces_is_the_run_in_one():
    histories = []
    for pieces in ([(0, 6)], [(0, 1), (1, 3), (3, 6)]):
        keras.utils.set_random_seed(0)
        model = compile_model(grow(dense()), "adam")
        history = {"loss": [], "cost": [], "settled": []}
        for start, end in pieces:
            run = fit(model, end, initial_epoch=start, growth_epochs=6)
            for name, values in history.items():
                values += run[name]
        histories.append(history)
    assert histories[0] == histories[1]
    assert histories[0]["settled"] == [0, 0, 0, 1, 1, 1]


def test_stopping_early_leaves_it_growing_and_it_goes_on():
    model = compile_model(grow(conv_chain()))
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda e, logs: setattr(model, "stop_training", e == 1)
    )
    history = fit(model, epochs=8, callbacks=[stop])
    assert history["settled"] == [0, 0] and not model.settled
    history = fit(model, epochs=8, initial_epoch=2)
    assert history["settled"] == [0, 0, 1, 1, 1, 1]  # 0.45 * 8 is 3.6


def test_settle_lands_at_any_moment():
    model = grow(conv_chain())
    model.settle()
    assert model.settled and model._growth.network.fractions()["cost"] <= 0.5
    structure = model.structure
    compile_model(model)
    assert fit(model, epochs=2)["settled"] == [1, 1]
    model.settle()
    assert model.structure == structure


def test_settle_in_the_middle_of_fit_is_for_good():
    model = compile_model(grow(conv_chain()))
    settle = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epoch == 1 and model.settle()
    )
    history = fit(model, epochs=6, callbacks=[settle])
    assert history["settled"] == [0, 0, 1, 1, 1, 1]
    assert max(history["cost"][2:]) <= 0.5


def test_evaluate_predict_summary_and_compact_work_at_any_moment():
    model = grow(residual(4))
    x, y = examples(model)

    def look(*_):
        loss = model.evaluate(x, y, verbose=0)
        logits = model.predict(x, verbose=0)
        small = compile_model(model.compact())
        assert small.evaluate(x, y, verbose=0) == pytest.approx(loss, rel=1e-4)
        np.testing.assert_allclose(small(x), logits, rtol=1e-4, atol=1e-5)
        lines = []
        model.summary(print_fn=lines.append)
        trained = sum(np.prod(v.shape) for v in model.trainable_variables)
        assert f"Trainable params: {trained} " in "\n".join(lines)

    assert model.compact()(x).shape == (32, 3)  # before compile
    compile_model(model)
    look()
    both = keras.callbacks.LambdaCallback(
        on_epoch_begin=look, on_epoch_end=look
    )
    fit(model, epochs=3, callbacks=[both])
    look()


def test_several_inputs_and_outputs_with_names():
    inputs = {
        "a": keras.Input((5,), name="a"),
        "b": keras.Input((5,), name="b"),
    }
    x = layers.Add()(
        [kgp.layers.GrowableDense(6)(inputs[name]) for name in ("a", "b")]
    )
    outputs = {
        "class": layers.Dense(3, name="class")(x),
        "size": layers.Dense(1, name="size")(x),
    }
    model = grow((inputs, outputs))
    losses = {
        "class": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "size": "mse",
    }
    model.compile("adam", losses)
    x = {name: np.ones((8, 5), "float32") for name in "ab"}
    y = {"class": np.zeros(8, int), "size": np.zeros((8, 1))}
    history = model.fit(x, y, epochs=3, verbose=0).history
    assert history["settled"][-1] == 1
    answer, small = model.predict(x, verbose=0), model.compact()(x)
    assert set(answer) == {"class", "size"}
    np.testing.assert_allclose(small["class"], answer["class"], atol=1e-5)


class Doubled(kgp.GrowPruneModel):
    """A user's subclass with a loss of its own."""

    def compute_loss(self, *args, **kwargs):
        return 2 * super().compute_loss(*args, **kwargs)


def test_a_users_subclass_trains_and_is_saved(tmp_path):
    losses = []
    for kind in (kgp.GrowPruneModel, Doubled):
        keras.utils.set_random_seed(0)
        model = kind(*conv_chain(), kgp.Budget(flops=0.5), seed=0)
        compile_model(model, keras.optimizers.SGD(0.0))
        losses.append(fit(model, epochs=2)["loss"][0])
    assert losses[1] == pytest.approx(2 * losses[0], rel=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(
        tmp_path / "model.keras", custom_objects={"Doubled": Doubled}
    )
    assert type(again) is Doubled and again.settled

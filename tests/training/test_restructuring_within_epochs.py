"""Schedules in parts of an epoch: `restructure_every` below 1."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import fit
from tests.networks import grow


def model_and_data(every, steps=12, budget=0.5, **arguments):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    x = kgp.layers.GrowableDense(16, activation="relu")(inputs)
    x = kgp.layers.GrowableDense(16, activation="relu")(x)
    schedule = kgp.GrowthSchedule(0.3, 0.9, restructure_every=every)
    model = kgp.GrowPruneModel(
        inputs,
        keras.layers.Dense(3)(x),
        kgp.Budget(flops=budget),
        schedule=schedule,
        seed=0,
    )
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **arguments,
    )
    random = np.random.default_rng(0)
    x = random.normal(size=(8 * steps, 6)).astype("float32")
    return model, x, np.argmax(x[:, :3], axis=1)


class WidthsAtSteps(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(tuple(self.model.widths.values()))


def test_structure_changes_at_each_quarter_of_an_epoch():
    model, x, y = model_and_data(every=0.25)
    widths = WidthsAtSteps()
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[widths])
    changes = [
        step
        for step in range(1, 24)
        if widths.seen[step] != widths.seen[step - 1]
    ]
    # Steps 3, 6, 9, ...; it settles at 45 % of eight parts: the fourth.
    assert changes == [3, 6, 9, 12]
    assert model.settled


def test_run_ends_exactly_where_one_of_whole_epochs_ends():
    """Four parts of one epoch are scheduled like four epochs."""
    targets = []
    for every, epochs in ((0.25, 1), (1, 4)):
        model, x, y = model_and_data(every)
        seen = []
        decide = model._growth.blueprint.rule.decide

        def spy(state, space, target, decide=decide, seen=seen):
            seen.append(target)
            return decide(state, space, target)

        model._growth.blueprint.rule.decide = spy
        model.fit(x, y, batch_size=8, epochs=epochs, verbose=0)
        targets.append(seen)
        assert model.settled
        assert model._growth.network.fractions()["flops"] <= 0.5
    assert targets[0] == targets[1] and targets[0]


def test_ledger_adds_up_over_the_parts():
    model, x, y = model_and_data(every=0.5)
    model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    assert model.ledger.total("examples") == 3 * len(x)
    assert [r["epoch"] for r in model.ledger.epochs] == [0, 0, 1, 1, 2]


def test_parts_end_between_executions_of_several_steps():
    model, x, y = model_and_data(every=0.5, steps_per_execution=4)
    model.fit(x, y, batch_size=8, epochs=4, verbose=0)
    # Six steps are half of twelve; executions begin at 0, 4 and 8.
    examples = [record["examples"] for record in model.ledger.epochs]
    assert examples[:2] == [8 * 8, 4 * 8]
    assert model.settled


def test_data_of_unknown_length_are_divided_from_the_second_epoch_on():
    model, x, y = model_and_data(every=0.5)
    data = tf.data.Dataset.from_generator(
        lambda: zip(x, y),
        output_signature=(
            tf.TensorSpec((6,), "float32"),
            tf.TensorSpec((), "int64"),
        ),
    ).batch(8)
    model.fit(data, epochs=6, verbose=0)
    records = [record["epoch"] for record in model.ledger.epochs]
    assert records[:5] == [0, 1, 1, 2, 2]
    assert model._growth.state.period == 12


def test_broken_off_epoch_is_trained_anew():
    model, x, y = model_and_data(every=0.25)

    class Stop(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 7:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=8, epochs=4, verbose=0, callbacks=[Stop()])
    assert model._growth.state.period == 2
    model.fit(x, y, batch_size=8, epochs=4, verbose=0)
    assert model._growth.state.period == 16
    assert model.settled


def test_parts_without_a_step_pass_all_the_same():
    model, x, y = model_and_data(every=0.125, steps=4)
    periods = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            periods.append(model._growth.state.period)

    run = {"batch_size": 8, "verbose": 0, "callbacks": [Look()]}
    model.fit(x, y, epochs=2, growth_epochs=9, **run)
    assert periods == [0, 2, 4, 6, 8, 10, 12, 14]


def test_diverged_part_leaves_the_structure():
    model, x, y = model_and_data(every=0.25)
    # Not in the inputs: some processors' ReLU makes zero of it.
    weights = np.ones(len(x), "float32")
    weights[8 * 4] = np.nan  # in the second part
    before = model.widths
    run = {"batch_size": 8, "epochs": 2, "verbose": 0, "shuffle": False}
    with pytest.raises(FloatingPointError, match="not finite"):
        model.fit(x, y, sample_weight=weights, **run)
    assert model._growth.state.period == 2
    assert model.widths != before  # what the first part led to


@pytest.mark.parametrize("every", [0, -1, 0.3, 0.75, 1.5, True, "1"])
def test_periods_that_divide_no_epoch_are_refused(every):
    with pytest.raises(ValueError, match="one over an integer"):
        kgp.GrowthSchedule(restructure_every=every)


@pytest.mark.parametrize("every, parts", [(0.1, 10), (0.33, 3), (1, 1), (7, 1)])
def test_schedule_tells_the_parts_of_an_epoch(every, parts):
    schedule = kgp.GrowthSchedule(restructure_every=every)
    assert schedule.parts_of_an_epoch(epochs=7, steps=3) == parts
    again = kgp.GrowthSchedule.from_config(schedule.get_config())
    assert again.parts_of_an_epoch(epochs=7) == parts


@pytest.mark.parametrize(
    "epochs, steps, parts",
    [
        (20, 100, 1),  # nine changes before the landing at 45 %
        (10, 100, 2),  # 4.5 epochs
        (4, 100, 5),  # 1.8 epochs
        (4, 20, 4),  # five steps each
        (4, 3, 1),
        (4, None, 1),  # nobody knows how many steps there are
    ],
)
def test_short_runs_change_more_often_if_nothing_else_is_said(
    epochs, steps, parts
):
    schedule = kgp.GrowthSchedule()
    assert schedule.parts_of_an_epoch(epochs, steps) == parts
    again = kgp.GrowthSchedule.from_config(schedule.get_config())
    assert again.parts_of_an_epoch(epochs, steps) == parts
    every = kgp.GrowthSchedule(restructure_every=1)
    assert every.parts_of_an_epoch(epochs, steps) == 1


def test_a_short_run_is_divided_and_goes_on_as_it_began():
    model = compile_model(grow(conv_chain((4, 6))))
    fit(model, epochs=1, count=64, batch_size=4, growth_epochs=4)
    assert len(model.ledger.epochs) == 3  # 16 steps, five in each part
    fit(model, epochs=3, count=64, batch_size=4, growth_epochs=4)
    epochs = [record["epoch"] for record in model.ledger.epochs]
    assert epochs[:3] == [0] * 3 and epochs[-1] == 3
    assert model.settled and model.structure.units.sum() > 0

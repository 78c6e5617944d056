"""The line of growth between the epochs of `fit`."""

import re

import keras
import pytest

import keras_growprune as kgp
from tests.networks import compile_model
from tests.networks import examples
from tests.networks import grow
from tests.networks import residual

LABELS = "seed|begins|grown|pruned|kept|settled"


def train(model, **kwargs):
    x, y = examples(model)
    kwargs = {"epochs": 8, "batch_size": 16, **kwargs}
    return model.fit(x, y, growth_epochs=8, **kwargs).history


def lines(text):
    return [x for x in text.splitlines() if re.match(f"({LABELS}) ", x)]


@pytest.fixture
def model():
    schedule = kgp.GrowthSchedule(
        seed_fraction=0.3, peak=0.8, peak_at=0.25, restructure_every=1
    )
    budget = kgp.Budget(flops=0.5)
    return compile_model(
        grow(residual(filters=8, blocks=2), budget, schedule=schedule)
    )


def test_each_epoch_until_it_is_settled_has_a_line(model, capsys):
    history = train(model, verbose=1)
    text = capsys.readouterr().out
    found = lines(text)
    settled = history["settled"].index(1.0)
    assert len(found) == settled + 1
    assert found[0].startswith("seed ") and found[-1].startswith("settled ")
    for line, cost, price in zip(found, history["cost"], history["price"]):
        assert f"cost {cost:.3f} of " in line
        assert not price or f"price {price:.1e}" in line
        assert len(re.search("[▁▂▃▄▅▆▇█·]+", line)[0]) == len(model.groups)
    # Above the head of its epoch, below the bar of the one before.
    heads = [i for i, x in enumerate(text.splitlines()) if "Epoch" in x]
    assert text.splitlines()[heads[1] - 1] == found[1]


def test_it_tells_what_came_and_what_left(model, capsys):
    counts = []

    class Count(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            counts.append(int(self.model.structure.units.sum()))

    train(model, verbose=1, callbacks=[Count()])
    found = lines(capsys.readouterr().out)
    for before, after, line in zip(counts, counts[1:], found[1:]):
        changes = re.search(r"units((?: [+-]\d+)+)", line)
        total = sum(map(int, changes[1].split())) if changes else 0
        assert total == after - before


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "verbose, flag, shown",
    [
        (2, "auto", False),
        (0, "auto", False),
        (1, False, False),
        (2, True, True),
    ],
)
def test_it_can_be_turned_on_and_off(verbose, flag, shown, model, capsys):
    train(model, epochs=2, verbose=verbose, growth_line=flag)
    assert bool(lines(capsys.readouterr().out)) == shown


def test_a_run_that_goes_on_begins_with_what_there_is(model, capsys):
    train(model, epochs=2, verbose=1)
    capsys.readouterr()
    train(model, epochs=4, initial_epoch=2, verbose=1)
    assert lines(capsys.readouterr().out)[0].startswith("begins ")
    train(model, epochs=8, initial_epoch=4, verbose=1)
    capsys.readouterr()
    train(model, epochs=9, initial_epoch=8, verbose=1)
    assert not lines(capsys.readouterr().out)


def test_what_is_not_the_seed_is_not_called_so(model, capsys):
    model.restructure(kgp.Structure([1] * 24, [1, 1]))
    train(model, epochs=1, verbose=1)
    assert lines(capsys.readouterr().out)[0].startswith("begins  █")


def test_a_run_that_is_settled_at_once_says_so(capsys):
    moments = {"peak_at": 0.0, "settle_at": 0.0}
    schedule = kgp.GrowthSchedule(seed_fraction=0.5, peak=0.5, **moments)
    model = compile_model(grow(residual(filters=8), schedule=schedule))
    train(model, epochs=2, verbose=1)
    (line,) = lines(capsys.readouterr().out)
    assert model.settled and line.startswith("settled ")


def test_the_bar_shows_the_cost_and_the_history_all(model, capsys):
    seen = []

    class Seen(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(set(logs))

    history = train(model, epochs=3, verbose=2, callbacks=[Seen()])
    entries = {"loss", "cost", "flops", "params", "price", "settled"}
    assert set(history) == entries and seen == [entries] * 3
    bars = [x for x in capsys.readouterr().out.splitlines() if "2/2" in x]
    for line, cost in zip(bars, history["cost"], strict=True):
        assert f"cost: {cost:.4f}" in line
        assert not re.search("flops|params|price|settled", line)


def test_a_progress_bar_of_the_user_stays_alone(model, capsys):
    class Own(keras.callbacks.ProgbarLogger):
        def on_epoch_end(self, epoch, logs=None):
            print(f"own bar with {len(logs)} entries")

    train(model, epochs=1, verbose=2, callbacks=[Own()])
    text = capsys.readouterr().out
    assert "own bar with 6 entries" in text and "2/2" not in text


def test_inside_another_fit_it_is_shown_too(capsys):
    student = grow(residual(filters=8))
    outer = keras.Sequential([student, keras.layers.Softmax()])
    outer.compile("sgd", "sparse_categorical_crossentropy")
    x, y = examples(student)
    callbacks = [kgp.callbacks.Grow(student)]
    outer.fit(x, y, epochs=4, batch_size=16, callbacks=callbacks)
    assert lines(capsys.readouterr().out)[0].startswith("seed ")


def test_a_wrong_flag_is_refused_before_training(model):
    with pytest.raises(ValueError, match="Argument `growth_line`"):
        train(model, growth_line="yes")
    assert not model.ledger.epochs

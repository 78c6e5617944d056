"""The books of a run, against sums made by hand."""

import csv
import json
import time

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from keras_growprune.training import Ledger
from keras_growprune.training import clock as clock_module
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow


def conv_chain_flops(first, second, image=36):
    """3 x 3 convolutions of a 6 x 6 image with two channels, and a head."""
    return image * 9 * (2 * first + first * second) + 3 * second


def test_an_epoch_is_three_forward_passes_per_example():
    ledger = Ledger(full_flops=1000)
    ledger.add(examples=50, flops=0.25, seconds=2.0)
    ledger.add(examples=10, flops=0.5, seconds=3.0)
    first, second = ledger.epochs
    assert first["training_flops"] == 3 * 1000 * 50 * 0.25 == 37_500
    assert first["full_training_flops"] == 150_000
    assert second["training_flops"] == 15_000
    assert ledger.total("training_flops") == 52_500
    assert ledger.total("seconds") == 5.0
    assert ledger.relative_training_flops() == 52_500 / 180_000


def test_an_empty_ledger_has_no_ratio():
    assert np.isnan(Ledger(full_flops=1000).relative_training_flops())


def test_is_the_same_after_arrays():
    ledger, other = Ledger(1000), Ledger(1000)
    ledger.add(examples=50, flops=0.25, units=[1, 2], gates=[True])
    other.from_arrays(ledger.to_arrays())
    assert other.epochs == ledger.epochs
    other.from_arrays(Ledger(1000).to_arrays())
    assert other.epochs == []


def test_a_run_is_booked_epoch_by_epoch():
    model = compile_model(grow(conv_chain((4, 6))))
    history = fit(model, epochs=4, count=40)
    full = conv_chain_flops(4, 6)
    assert [record["epoch"] for record in model.ledger.epochs] == [0, 1, 2, 3]
    spent = 0.0
    for record, share in zip(
        model.ledger.epochs, history["flops"], strict=True
    ):
        flops = conv_chain_flops(*record["units"])
        spent += 3 * 40 * flops
        assert record["examples"] == 40
        assert record["flops"] == share == pytest.approx(flops / full)
        assert record["cost"] == share
        assert record["training_flops"] == pytest.approx(3 * 40 * flops)
        assert record["full_training_flops"] == 3 * 40 * full
        first, second = record["units"]
        params = 18 * first + 9 * first * second + 4 * (first + second)
        params += 3 * second + 3
        everything = 18 * 4 + 9 * 24 + 40 + 21
        assert record["params"] == pytest.approx(params / everything)
    assert model.ledger.total("training_flops") == pytest.approx(spent)
    ratio = spent / (4 * 3 * 40 * full)
    assert model.ledger.relative_training_flops() == pytest.approx(ratio)
    assert model.ledger.epochs[-1]["units"] == list(model.widths.values())
    json.dumps(model.ledger.epochs)  # plain Python, to be saved


class FakeTime:
    """Stands for the module `time`: only what a test does takes time."""

    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        return self.now


class FakeFunctions:
    """What a clock reads of a `FunctionCache`."""

    def __init__(self):
        self.traces = {"train": 0, "test": 0}
        self.compilations = {"train": 0, "test": 0}
        self.seconds = {"train": 0.0, "test": 0.0}


def test_tracing_is_what_tracing_calls_took_beyond_the_others(monkeypatch):
    fake, functions = FakeTime(), FakeFunctions()
    monkeypatch.setattr(clock_module, "time", fake)
    clock = clock_module.Clock(functions)
    clock.start(changing_seconds=0.25)
    fake.now += 6.0  # five steps, of which the first one traces
    functions.traces["train"] += 1
    functions.seconds["train"] += 4.0
    assert clock.stop()

    def measure():
        fake.now += 0.75

    clock.measure(measure)
    fake.now += 9.0  # validation, which traces too
    functions.traces["test"] += 2
    functions.seconds["test"] += 1.5
    assert not clock.stop()
    assert clock.seconds(steps=5) == {
        "seconds": 6.0,
        "restructure_seconds": 0.25,
        "retrace_seconds": 5.0,  # 4 - 2 / 4, and 1.5
        "measure_seconds": 0.75,
        "traces": 3,
        "compilations": 0,
    }
    clock.start(changing_seconds=0.0)  # an epoch that traces nothing
    fake.now += 2.0
    clock.stop()
    found = clock.seconds(steps=4)
    assert found["seconds"] == 2.0
    assert found["retrace_seconds"] == found["measure_seconds"] == 0.0
    assert found["traces"] == 0


def test_seconds_leave_validation_out_and_only_traces_count_as_such():
    model = compile_model(grow(conv_chain((4, 6))), metrics=["accuracy"])

    class Slow(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.whole = []

        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.perf_counter()

        def on_test_batch_end(self, batch, logs=None):
            time.sleep(0.25)

        def on_epoch_end(self, epoch, logs=None):
            self.whole.append(time.perf_counter() - self.started)

    slow = Slow()
    fit(model, epochs=4, validation_data=examples(model), callbacks=[slow])
    records = model.ledger.epochs
    changed = [
        one["units"] != other["units"]
        for one, other in zip([{"units": None}, *records], records)
    ]
    assert changed == [True, True, True, False]
    # (Keras traces once more where the last batch is smaller.)
    assert records[0]["traces"] == 3
    assert [record["traces"] for record in records[1:]] == [0, 0, 0]
    assert [r["retrace_seconds"] > 0 for r in records] == [True] + [False] * 3
    for record, whole in zip(records, slow.whole):
        assert record["restructure_seconds"] >= 0
        assert 0 < record["seconds"] <= whole - 0.25


def test_the_summary_tells_widths_totals_and_what_was_spent():
    model = compile_model(grow(conv_chain((4, 6))))
    fit(model, epochs=2, count=40)
    lines = []
    model.structure_summary(print_fn=lines.append)
    text = "\n".join(lines)
    for group, width in zip(model.groups, model.widths.values()):
        line = next(x for x in text.splitlines() if f" {group.name} " in x)
        cells = line.replace("│", " ").split()
        assert (cells[2], cells[4]) == (str(width), str(group.size))
    flops = conv_chain_flops(*model.widths.values())
    assert f"flops: {flops:,} of {conv_chain_flops(4, 6):,}" in text
    assert "settled, budget Budget(flops=0.5)" in text
    assert "training so far: 2 epochs" in text


def test_without_countable_flops_everything_else_is_booked():
    inputs = keras.Input((None, None, 2))
    x = kgp.layers.GrowableConv2D(4, 3)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(3)(x)
    model = compile_model(grow((inputs, outputs), kgp.Budget(params=0.5)))
    x, y = np.zeros((32, 6, 6, 2), "float32"), np.zeros(32, int)
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert "flops" not in history
    assert history["params"] == [r["params"] for r in model.ledger.epochs]
    assert np.isnan(model.ledger.epochs[0]["training_flops"])


def test_records_tell_the_schedule_and_the_logs_of_fit():
    model = compile_model(grow(conv_chain((4, 6))), metrics=["accuracy"])
    history = fit(model, epochs=4, validation_data=examples(model, 8, seed=1))
    records = model.ledger.epochs
    for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert [r["metrics"][key] for r in records] == history[key]
    assert [r["price"] for r in records] == history["price"]
    assert [r["settled"] for r in records] == history["settled"]
    schedule = model.schedule
    targets = [schedule.target(epoch, 4, 0.5) for epoch in range(4)]
    assert [r["target"] for r in records] == targets
    assert all(r["cost"] <= r["target"] for r in records)


def test_within_epochs_only_the_last_record_has_the_logs():
    schedule = kgp.GrowthSchedule(restructure_every=0.5)
    model = compile_model(grow(conv_chain((4, 6)), schedule=schedule))
    history = fit(model, epochs=4, count=64)
    records = [r for r in model.ledger.epochs if r["metrics"]]
    assert len(records) == 4 < len(model.ledger.epochs)
    assert [r["metrics"]["loss"] for r in records] == history["loss"]


def test_columns_and_files_hold_every_record(tmp_path):
    model = compile_model(grow(conv_chain((4, 6))))
    history = fit(model, epochs=3)
    columns = model.ledger.columns()
    assert next(iter(columns)) == "epoch" and columns["epoch"] == [0, 1, 2]
    assert columns["loss"] == history["loss"]
    assert columns["cost"] == history["cost"]
    model.ledger.to_csv(tmp_path / "ledger.csv")
    with open(tmp_path / "ledger.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == history["loss"]
    last = model.ledger.epochs[-1]["units"]
    assert rows[-1]["units"] == " ".join(map(str, last))


def test_it_prints_as_a_table():
    model = compile_model(grow(conv_chain((4, 6))))
    assert str(model.ledger) == "no epoch yet"
    fit(model, epochs=3)
    lines = str(model.ledger).splitlines()
    first, second, third = [line.split("│")[1:-1] for line in lines[3:6]]
    assert [cells[0].strip() for cells in (first, second, third)] == [*"123"]
    cost = model.ledger.epochs[1]["cost"]
    assert second[2].strip() == f"{cost:.3f}"
    flops = model.ledger.total("training_flops")
    share = model.ledger.relative_training_flops()
    text = f"training FLOPs: {flops:.3g}, {share:.1%} of what the full network"
    assert text in lines[-2]
    seconds = model.ledger.total("seconds")
    assert lines[-1].startswith(f"seconds: {seconds:.1f} of training steps")
    assert repr(model.ledger) == str(model.ledger)


def header(ledger):
    return [cell.strip() for cell in str(ledger).splitlines()[1].split("│")][
        1:-1
    ]


def test_a_fraction_that_is_the_cost_is_no_column():
    ledger = Ledger(1000)
    ledger.add(examples=9, flops=0.25, cost=0.25, params=0.5)
    assert header(ledger) == "epoch widths cost target params seconds".split()
    ledger.add(examples=9, flops=0.5, cost=0.25, params=0.25)
    expected = "epoch widths cost target FLOPs params seconds"
    assert header(ledger) == expected.split()


def test_a_metric_stands_beside_itself_in_validation():
    ledger = Ledger(1000)
    metrics = {"accuracy": 0.5, "loss": 2.0, "val_accuracy": 0.25, "val_x": 9.0}
    ledger.add(examples=9, flops=0.25, cost=0.25, metrics=metrics)
    ledger.add(examples=9, flops=0.25, cost=0.25, metrics={})
    assert header(ledger)[5:] == ["accuracy", "val", "loss", "val_x"]
    first = str(ledger).splitlines()[3]
    assert [cell.strip() for cell in first.split("│")][6:-1] == [
        "0.5",
        "0.25",
        "2",
        "9",
    ]


def test_with_many_groups_and_metrics_it_fits_a_wide_terminal():
    ledger = Ledger(1000)
    ledger.full_widths = np.full(60, 8)
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    metrics = dict.fromkeys(names, 0.12345)
    record = dict(cost=0.25, target=0.3, params=0.4, seconds=12.5)
    ledger.add(
        examples=9, flops=0.25, units=[4] * 60, metrics=metrics, **record
    )
    assert max(map(len, str(ledger).splitlines())) <= 120


def test_records_of_an_older_version_print_too():
    ledger = Ledger(1000)
    ledger.add(examples=50, flops=0.25, seconds=2.0)
    assert "training FLOPs: 3.75e+04" in str(ledger)
    assert ledger.columns()["flops"] == [0.25]


def test_seconds_saved_follow_the_line_through_the_times():
    """A step of 2 s + 10 s x FLOPs for 100 examples, 12 s for all of them."""
    ledger = Ledger(1000)
    for flops in (0.25, 0.5, 0.75):
        ledger.add(
            examples=100,
            flops=flops,
            seconds=2 + 10 * flops + 1.0,
            retrace_seconds=1.0,
            restructure_seconds=0.5,
            measure_seconds=0.25,
        )
    # 36 s; the three took 4.5, 7 and 9.5; growing added 0.75 to each, and
    # one trace the full network has too.
    expected = 36 - 21 - 3 * 0.75 - 2 * 1.0
    assert ledger.estimated_seconds_saved() == pytest.approx(expected)


def test_measuring_until_it_is_settled_is_no_cost_of_size():
    """As above, but 3 s for measuring while the structure changes."""
    ledger = Ledger(1000)
    for flops, settled in [(0.25, 0), (0.5, 0), (0.75, 0), (0.5, 1), (0.5, 1)]:
        ledger.add(
            examples=100,
            flops=flops,
            settled=bool(settled),
            seconds=2 + 10 * flops + 3 * (not settled),
            retrace_seconds=0.0,
        )
    expected = 5 * 12 - (7.5 + 10 + 12.5 + 7 + 7)
    assert ledger.estimated_seconds_saved() == pytest.approx(expected)


def test_one_size_tells_nothing_of_seconds_saved():
    ledger = Ledger(1000)
    assert np.isnan(ledger.estimated_seconds_saved())
    ledger.add(examples=10, flops=0.5, seconds=1.0, retrace_seconds=0.0)
    assert np.isnan(ledger.estimated_seconds_saved())

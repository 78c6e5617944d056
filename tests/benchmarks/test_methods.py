"""Every method of the benchmark, on a few images of noise."""

import image_data
import methods
import numpy as np
import pytest
import task as tasks

from tests.benchmarks.devices import multiply_adds_as_time
from tests.benchmarks.noise import noise_data

PRESET = tasks.Preset(
    depth=8,
    image_size=8,
    examples=96,
    epochs=3,
    batch_size=24,
    restructure_every=0.5,
)


@pytest.fixture
def task(monkeypatch):
    data = noise_data(PRESET.examples + 10)
    monkeypatch.setattr(image_data, "load", lambda name: data)
    monkeypatch.setitem(tasks.PRESETS, "noise", PRESET)
    task = tasks.Task("noise")
    task.profile = multiply_adds_as_time()
    return task


def test_from_scratch_trains_the_last_structure_as_many_epochs(task):
    widths = [8, 4, 8, 16, 16, 32]
    cell = {"phases": [[1.5, [4] * 6, [True]], [2.5, widths, [False]]]}
    scratch = methods.from_scratch(task, 0, cell)
    assert scratch["phases"] == [[4, widths, [False]]]
    structure = task.structure(widths, np.array([False]))
    share = task.relative_flops(task.plain(structure))
    assert scratch["flops"] == share
    assert scratch["training_flops"] == pytest.approx(share * 4 / 3)


@pytest.mark.slow
def test_the_narrow_network_may_train_at_the_cost_of_the_full_one(task):
    cell = methods.narrow_long(task, 0)
    [[epochs, widths, gates]] = cell["phases"]
    assert (epochs, gates) == (6, [True])
    assert 0.4 < cell["flops"] <= methods.BUDGET
    assert cell["training_flops"] == pytest.approx(cell["flops"] * 6 / 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [n for n in methods.METHODS if n != "magnitude_pruning"]
)
def test_methods_meet_the_budget_and_account_for_their_training(task, name):
    cell = methods.METHODS[name](task, 0)
    _, widths, gates = cell["phases"][-1]
    network = task.plain(task.structure(widths, np.array(gates)))
    time = task.profile.milliseconds
    if name in methods.IN_TIME:
        share = 0.72 if name == "grown_in_less_time" else methods.BUDGET
        assert time(network) <= share * time(task.plain())
    elif name != "full":
        assert cell["flops"] <= methods.BUDGET
    assert cell["flops"] == task.relative_flops(network)
    epochs = sum(phase[0] for phase in cell["phases"])
    expected = {"grown_in_time_long": 5}.get(
        name, 6 if name.endswith("_long") else 3
    )
    assert epochs == pytest.approx(expected)
    assert len(cell["training_accuracy"]) == round(epochs)
    assert 0 <= cell["validation_accuracy"] <= 100
    if name in methods.GROWN:
        assert len(cell["phases"]) > 1

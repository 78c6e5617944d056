"""Methods that make a trained network smaller, on a few images of noise."""

import image_data
import numpy as np
import pytest
import trained_methods as methods
import trained_task as tasks

from tests.benchmarks.noise import noise_data

PRESET = tasks.TrainedPreset(
    depth=8,
    image_size=8,
    examples=96,
    epochs=2,
    batch_size=24,
    more_epochs=2,
)


@pytest.fixture
def task(monkeypatch, tmp_path):
    data = noise_data(PRESET.examples + 10)
    monkeypatch.setattr(image_data, "load", lambda name: data)
    monkeypatch.setitem(tasks.TRAINED_PRESETS, "noise", PRESET)
    monkeypatch.setattr(tasks, "RESULTS", tmp_path)
    return tasks.TrainedTask("noise")


def test_all_begin_with_the_network_that_was_given(task):
    cell = methods.given(task, 3)
    assert cell["flops"] == cell["params"] == 1
    networks = [task.given(3) for _ in range(2)]
    for one, two in zip(*(network.get_weights() for network in networks)):
        np.testing.assert_array_equal(one, two)
    assert task.accuracies(networks[0])["accuracy"] == cell["accuracy"]
    with pytest.raises(FileNotFoundError):
        task.given(4)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*methods.METHODS][1:])
def test_methods_meet_the_budget_in_as_many_epochs(task, name, monkeypatch):
    methods.given(task, 0)
    epochs = []
    train = task.train

    def counted(model, seed, number, *args, **kwargs):
        epochs.append(number)
        return train(model, seed, number, *args, **kwargs)

    monkeypatch.setattr(task, "train", counted)
    cell = methods.METHODS[name](task, 0)
    assert sum(epochs) == PRESET.more_epochs
    if name == "trained_on":
        assert cell["flops"] == cell["training_flops"] == 1
        return
    assert 0.3 < cell["flops"] <= methods.BUDGET
    teacher = 1 / 3 if name.endswith("distilled") else 0
    assert cell["training_flops"] >= cell["flops"] + teacher - 1e-6
    assert cell["training_flops"] < 1 + teacher

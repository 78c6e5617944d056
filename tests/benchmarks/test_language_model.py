"""Every method of the benchmark, on a text of a few hundred words."""

import dataclasses

import language_methods
import language_task
import language_timing
import numpy as np
import pytest

RECIPE = dataclasses.replace(
    language_task.PRESETS["smoke"].recipe,
    units=8,
    steps=5,
    batch_size=4,
    epochs=3,
)


@pytest.fixture
def task(tmp_path, monkeypatch):
    line = " ".join("abcdef"[i % 6] for i in range(29)) + "\n"
    for part, lines in (("train", 10), ("valid", 2), ("test", 2)):
        (tmp_path / f"{part}.txt").write_text(line * lines)
    preset = language_task.Preset(RECIPE, words=300)
    monkeypatch.setitem(language_task.PRESETS, "smoke", preset)
    return language_task.LanguageTask("smoke", tmp_path)


@pytest.mark.parametrize(
    "name", ["group_lasso", pytest.param("grown", marks=pytest.mark.slow)]
)
def test_methods_meet_the_budget_and_account_for_their_training(task, name):
    cell = language_methods.METHODS[name](task, 0)
    assert cell["params"] <= language_methods.BUDGET
    assert 1 < cell["perplexity"] < 10
    epochs, widths = zip(*cell["phases"])
    assert sum(epochs) == pytest.approx(RECIPE.epochs)
    assert 0.1 < cell["training_flops"] < 1
    if name == "grown":
        assert len(set(map(tuple, widths))) > 2
        scratch = language_methods.from_scratch(task, 0, cell)
        assert scratch["params"] == cell["params"]
        timing = language_timing.time_cell(task, cell)
        for name in ("training", "rate", "litert", "rate_x2", "litert_x4"):
            assert 0.05 < timing.pop(name) < 20, name
        assert set(timing) == {"rate_x4", "litert_x2"}


def test_a_wider_task_has_all_widths_larger(task):
    wide = task.wider(3)
    assert wide.widths(wide.structure()) == [24, 24, 24]
    assert task.widths(task.structure()) == [8, 8, 8]
    assert wide.corpus is task.corpus


def test_norms_of_units_are_those_of_all_their_weights(task):
    model = task.shapes
    model.restructure(task.structure())
    embedding, first, second = language_methods._unit_norms(model)
    _, one, two, dense = (x for x in model.layers if x.trainable_variables)
    kernel = one.cell.kernel.numpy()
    recurrent = one.cell.recurrent_kernel.numpy()
    for unit in range(8):
        columns = [unit + 8 * block for block in range(4)]
        squares = (kernel[:, columns] ** 2).sum()
        squares += (recurrent[:, columns] ** 2).sum()
        squares += (recurrent[unit] ** 2).sum()
        squares += (two.cell.kernel.numpy()[unit] ** 2).sum()
        assert float(first[unit]) == pytest.approx(np.sqrt(squares), rel=1e-5)
    assert [len(embedding), len(first), len(second)] == [8, 8, 8]
    assert dense.kernel.shape[0] == 8

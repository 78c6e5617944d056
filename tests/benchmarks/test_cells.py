"""Cells: what is trained when, and what is written."""

import dataclasses
import json
import threading
import types

import cells
import pytest
from absl import app


@pytest.fixture
def benchmark(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "FLAGS", types.SimpleNamespace(preset="tiny"))
    return cells.CellBenchmark(
        script="",
        results=tmp_path,
        presets=["tiny"],
        methods={
            "grown": lambda task, seed: {"score": task * seed, "phases": [7]},
        },
        grown=("grown",),
        from_scratch=lambda task, seed, cell: {"score": -cell["score"]},
        make_task=lambda preset: len(preset),
        time_cell=lambda task, cell: {"rate": cell["score"] / 10},
        report=None,
        line="{method} {seed} {score}",
    )


def read(folder, name):
    return json.loads((folder / "tiny" / name).read_text())


def test_a_cell_from_scratch_takes_the_structure_of_its_own_seed(
    benchmark, tmp_path, capsys
):
    assert benchmark.names == ["grown", "grown_from_scratch"]
    for name in benchmark.names:
        benchmark._train(name, 3)
    assert read(tmp_path, "grown-3.json")["score"] == 12
    cell = read(tmp_path, "grown_from_scratch-3.json")
    assert (cell["method"], cell["seed"], cell["score"]) == (
        "grown_from_scratch",
        3,
        -12,
    )
    assert set(cell["versions"]) == {"keras", "tensorflow", "machine"}
    assert capsys.readouterr().out == "grown 3 12\ngrown_from_scratch 3 -12\n"


def test_only_cells_that_are_there_are_timed_and_none_twice(
    benchmark, tmp_path, capsys
):
    benchmark._train("grown", 3)
    capsys.readouterr()
    for _ in range(2):
        benchmark._time(benchmark.names, [2, 3])
    assert read(tmp_path, "timing/grown-3.json") == {
        "method": "grown",
        "seed": 3,
        "rate": 1.2,
    }
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["grown", "seed", "3", "rate", "1.200"]
    ]


def test_a_cell_that_has_its_file_is_not_trained_again(benchmark, monkeypatch):
    benchmark._train("grown", 3)
    started = []
    monkeypatch.setattr(
        cells, "_run_with_one_thread", lambda *args: started.append(args)
    )
    for seed in (3, 4):
        benchmark._train_in_new_process("grown", seed)
    assert started == [
        ("", "--here", "--methods=grown", "--seeds=4", "--preset=tiny")
    ]


def test_what_comes_from_scratch_waits_for_its_structure():
    order, lock = [], threading.Lock()

    def train(name, seed):
        with lock:
            order.append((name, seed))

    names = ["grown_from_scratch", "full", "grown"]
    cells.train_all(names, [0, 1], 2, train)
    assert sorted(order) == sorted((n, s) for n in names for s in (0, 1))
    for seed in (0, 1):
        assert order.index(("grown", seed)) < order.index(
            ("grown_from_scratch", seed)
        )


@pytest.mark.parametrize("reason", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_begun_after_a_cell_has_failed(reason):
    order = []

    def train(name, seed):
        order.append((name, seed))
        raise reason

    with pytest.raises(reason):
        cells.train_all(["full", "grown"], [0, 1], 1, train)
    assert order == [("full", 0)]


def test_a_structure_that_is_not_there_is_asked_for(benchmark):
    with pytest.raises(app.UsageError, match="Train that one first"):
        benchmark._train_in_new_process("grown_from_scratch", 3)
    # One that is there already needs nothing else.
    cells.write(benchmark._path("grown_from_scratch", 3), {})
    benchmark._train_in_new_process("grown_from_scratch", 3)


def test_what_cells_share_is_prepared_once_before_them(
    benchmark, monkeypatch, tmp_path
):
    benchmark = dataclasses.replace(benchmark, prepared=("grown",))
    flags = dict(preset="tiny", seeds=["0", "1"], jobs=2, report=False)
    flags |= dict(time=False, here=False)
    started = []
    monkeypatch.setattr(
        cells,
        "_run_with_one_thread",
        lambda script, *arguments: started.append(arguments[1]),
    )

    def run(*methods):
        started.clear()
        flags["methods"] = list(methods)
        monkeypatch.setattr(cells, "FLAGS", types.SimpleNamespace(**flags))
        benchmark._main([])
        return started

    assert run("grown") == ["--methods=", "--methods=grown", "--methods=grown"]
    for seed in (0, 1):
        cells.write(benchmark._path("grown", seed), {})
    assert run("grown") == []
    assert run("grown_from_scratch") == ["--methods=grown_from_scratch"] * 2


def test_a_report_of_nothing_says_so(benchmark, monkeypatch):
    flags = types.SimpleNamespace(
        preset="tiny", methods=[], seeds=[], report=True
    )
    monkeypatch.setattr(cells, "FLAGS", flags)
    with pytest.raises(app.UsageError, match="No cells in .*tiny"):
        benchmark._main([])


def test_seeds_are_integers(benchmark, monkeypatch):
    flags = types.SimpleNamespace(preset="tiny", methods=[], seeds=["a"])
    monkeypatch.setattr(cells, "FLAGS", flags)
    with pytest.raises(app.UsageError, match="integers"):
        benchmark._main([])


def test_a_cell_from_scratch_can_come_alone():
    order = []
    cells.train_all(
        ["grown_from_scratch"], [0], 1, lambda *cell: order.append(cell)
    )
    assert order == [("grown_from_scratch", 0)]

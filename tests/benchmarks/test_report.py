"""Tables that benchmarks make from their cells."""

import json
import math

import pytest
import report


def cells(*accuracies):
    return {seed: {"accuracy": a} for seed, a in enumerate(accuracies)}


def test_differences_are_paired_by_seed():
    mean, half, count = report.paired(
        cells(71.0, 72.0, 74.0, 99.0), cells(70.0, 70.0, 71.0)
    )
    # 1, 2 and 3: standard error 1 / sqrt(3), times Student's 4.303.
    assert (mean, count) == (2.0, 3)
    assert half == pytest.approx(4.30265273 / math.sqrt(3))


def test_the_interval_of_ten_seeds_has_the_quantile_of_ten_seeds():
    mean, half, count = report.paired(
        cells(*[0.0, 2.0] * 5), cells(*[0.0] * 10)
    )
    # Standard error sqrt(10 / 9) / sqrt(10), times Student's 2.262.
    assert (mean, count) == (1.0, 10)
    assert half == pytest.approx(2.26215716 / 3)


def test_one_seed_says_nothing_about_the_spread():
    assert report.paired(cells(71.0), cells(70.0)) == (1.0, math.inf, 1)
    assert report.paired(cells(71.0), {})[2] == 0


def write_cell(folder, method, seed=0, **values):
    cell = dict(flops=0.5, params=0.4, training_flops=0.54, peak_mib=900)
    cell = {"method": method, "seed": seed, **cell, **values}
    folder.mkdir(exist_ok=True)
    (folder / f"{method}-{seed}.json").write_text(json.dumps(cell))


def test_a_table_has_a_line_for_each_method_that_has_cells(tmp_path):
    write_cell(tmp_path, "narrow", accuracy=70.0, validation_accuracy=71.2)
    write_cell(tmp_path, "grown_long", accuracy=71.5)
    timing = {"training": 0.61, "step": 0.52, "litert": 0.494}
    write_cell(tmp_path / "timing", "narrow", **timing)
    names = ["full", "narrow", "grown_long"]
    lines = report.table(tmp_path, names).splitlines()
    assert lines[2:] == [
        "| narrow | 1 | 70.00 |  | 71.20 | 0.50 | 0.40 | 0.54 | 0.61 | 0.52 "
        "| 0.49 | 900 |",
        "| grown long | 1 | 71.50 | +1.50 |  | 0.50 | 0.40 | 0.54 |  |  |  "
        "| 900 |",
    ]
    assert {line.count("|") for line in lines} == {lines[0].count("|")}


def test_the_full_network_takes_its_own_time(tmp_path):
    write_cell(tmp_path, "full", accuracy=72.0)
    write_cell(tmp_path, "narrow", accuracy=70.0)
    assert "litert" not in report.read_cells(tmp_path)["full"][0]
    write_cell(tmp_path / "timing", "narrow", litert=0.494)
    write_cell(tmp_path / "timing", "full", litert=0.97)  # it against itself
    cells = report.read_cells(tmp_path)
    assert cells["full"][0]["litert"] == 1.0
    assert cells["narrow"][0]["litert"] == 0.494


def test_a_curve_goes_on_to_the_longer_training():
    known = {
        "grown": {
            0: dict(accuracy=70.0, training=0.5),
            1: dict(accuracy=71.0, training=0.6),
            2: dict(accuracy=75.0),  # not timed
        },
        "grown_long": {0: dict(accuracy=73.0, training=1.0)},
        "grown_from_scratch": {0: dict(accuracy=60.0, training=0.4)},
        "grown_long_from_scratch": {0: dict(accuracy=65.0, training=0.9)},
    }
    assert report.curve(known, "grown", "training") == [
        (pytest.approx(0.55), 72.0, pytest.approx(math.sqrt(7))),
        (1.0, 73.0, 0.0),
    ]
    assert report.curve(known, "grown_from_scratch", "training") == [
        (0.4, 60.0, 0.0),
        (0.9, 65.0, 0.0),
    ]
    assert report.curve(known, "narrow", "training") == []
    assert [name for name, _ in report._styles(list(known))] == [
        "grown",
        "grown_from_scratch",
    ]


def test_what_is_written_can_be_looked_at(tmp_path):
    pytest.importorskip("matplotlib")
    for seed, accuracy in enumerate((70.0, 71.0)):
        write_cell(tmp_path, "narrow", seed, accuracy=accuracy)
    write_cell(tmp_path, "grown", accuracy=71.5)
    document = tmp_path / "RESULTS.md"
    name = tmp_path.name
    marks = f"<!-- table of {name} -->", f"<!-- end of {name} -->"
    document.write_text(f"Head\n{marks[0]}\nold\n{marks[1]}\nTail\n")
    for _ in range(2):  # again and again
        text = report.write(tmp_path, ["narrow", "grown"], document)
        assert "| narrow | 2 | 70.50" in text
        assert document.read_text() == (
            f"Head\n{marks[0]}\n{text}\n{marks[1]}\nTail\n"
        )
    assert (tmp_path / "accuracy.png").read_bytes()[1:4] == b"PNG"


def test_a_plot_has_no_axes_without_data(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    write_cell(tmp_path, "narrow", accuracy=70.0)
    report.plot(tmp_path, ["narrow"], tmp_path / "one.png")
    write_cell(tmp_path / "timing", "narrow", litert=0.5)
    report.plot(tmp_path, ["narrow"], tmp_path / "two.png")
    widths = [
        image.imread(tmp_path / f).shape[1] for f in ("one.png", "two.png")
    ]
    assert widths == [500, 1000]

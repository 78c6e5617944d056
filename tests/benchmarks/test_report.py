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
    assert half == pytest.approx(4.303 / math.sqrt(3))


def test_one_seed_says_nothing_about_the_spread():
    assert report.paired(cells(71.0), cells(70.0)) == (1.0, math.inf, 1)
    assert report.paired(cells(71.0), {})[2] == 0


def test_a_table_has_a_line_for_each_method_that_has_cells(tmp_path):
    for method, accuracy in (("narrow", 70.0), ("grown", 71.5)):
        cell = dict(
            method=method,
            seed=0,
            accuracy=accuracy,
            flops=0.5,
            params=0.4,
            training_flops=0.54,
            seconds=10.4,
        )
        (tmp_path / f"{method}-0.json").write_text(json.dumps(cell))
    lines = report.table(tmp_path, ["full", "narrow", "grown"]).splitlines()
    assert lines[2:] == [
        "| narrow | 1 | 70.00 |  | 0.500 | 0.400 | 0.540 | 10 |",
        "| grown | 1 | 71.50 | +1.50 | 0.500 | 0.400 | 0.540 | 10 |",
    ]

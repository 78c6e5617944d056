"""Tables and bars, in terminals of every kind."""

import io
import sys

import pytest

from keras_growprune.text import bars
from keras_growprune.text import table


def test_a_table_has_a_rule_before_its_totals():
    text = table(("layer", "units"), [("[b]", "1"), ("cc", "12")], [("", "13")])
    assert text.split("\n") == [
        "┌───────┬───────┐",
        "│ layer │ units │",
        "├───────┼───────┤",
        "│ [b]   │     1 │",
        "│ cc    │    12 │",
        "├───────┼───────┤",
        "│       │    13 │",
        "└───────┴───────┘",
    ]


def test_wide_cells_are_never_broken():
    long = "x" * 500
    assert f"│ {long} │" in table(("name",), [(long,)])


def test_in_a_notebook_the_text_is_returned_too(monkeypatch):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert "│ 1 │" in table(("a",), [("1",)])


def test_bars_are_eighths_and_a_dot_for_nothing():
    assert bars([0, 0.01, 0.125, 0.126, 0.5, 0.87]) == "·▁▁▂▄▇"


def test_the_full_block_is_for_full_widths_alone():
    assert bars([0.876, 0.999, 1]) == "▇▇█"
    assert bars([0.999] + [1.0] * 3, most=2) == "▇█"


def test_neighbours_share_a_bar_where_there_are_too_many():
    assert bars([0.5] * 4 + [1.0] * 4, most=2) == "▄█"
    assert bars([1.0], most=2) == "█"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_of_few_characters_gets_others(encoding, monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", output)
    text = bars([0, 0.5, 1]) + table(("a", "b"), [("1", "2")])
    text.encode(encoding)
    assert text.startswith(".48+")

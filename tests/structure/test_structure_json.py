"""Structures as text, and what is different between two."""

import json

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import keras_growprune as kgp
from keras_growprune.structure import StructureDiff


def structure(units, gates=(), groups=(("a", 4), ("b", 2)), names=()):
    return kgp.Structure(
        np.array(units, bool), np.array(gates, bool), groups, names
    )


FIRST = structure([1, 1, 0, 1, 0, 1], [True], names=("skip",))


def test_text_tells_widths_and_which_units():
    content = json.loads(FIRST.to_json())
    assert content["groups"] == [
        {"name": "a", "size": 4, "width": 3, "units": "0-1, 3"},
        {"name": "b", "size": 2, "width": 1, "units": "1"},
    ]
    assert content["gates"] == {"skip": True}
    assert FIRST.widths == {"a": 3, "b": 1}


@hypothesis.given(
    sizes=st.lists(st.integers(1, 20), max_size=4), data=st.data()
)
def test_any_structure_is_the_same_after_text(sizes, data):
    flags = st.lists(st.booleans(), min_size=sum(sizes), max_size=sum(sizes))
    gates = data.draw(st.lists(st.booleans(), max_size=3))
    groups = tuple((f"group_{i}", size) for i, size in enumerate(sizes))
    names = tuple(f"gate_{i}" for i in range(len(gates)))
    one = structure(data.draw(flags), gates, groups, names)
    other = kgp.Structure.from_json(one.to_json())
    assert other == one
    assert (other.groups, other.gate_names) == (one.groups, one.gate_names)


def test_a_width_alone_means_the_first_units():
    content = json.loads(FIRST.to_json())
    content["groups"][0] = {"name": "a", "size": 4, "width": 2}
    read = kgp.Structure.from_json(json.dumps(content))
    np.testing.assert_array_equal(read.units, [1, 1, 0, 0, 0, 1])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c["groups"][0].update(units="0-9"), "beyond its 4"),
        (lambda c: c["groups"][0].update(width=1), "width of 1, but 3 units"),
        (lambda c: c["groups"][0].update(units="a-b"), "units 'a-b'"),
        (lambda c: c["groups"][0].pop("size"), "lacks an entry"),
        (lambda c: c.pop("gates"), "lacks an entry"),
        (lambda c: c.update(version=2), "newer keras_growprune"),
        (lambda c: c.update(format="other"), "JSON of something else"),
    ],
)
def test_text_of_no_structure_is_refused(change, message):
    content = json.loads(FIRST.to_json())
    change(content)
    with pytest.raises(ValueError, match=message):
        kgp.Structure.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "{", None])
def test_no_json_is_refused(text):
    with pytest.raises(ValueError, match="to_json"):
        kgp.Structure.from_json(text)


def test_without_names_there_is_no_text():
    nameless = kgp.Structure(np.ones(3, bool), np.ones(0, bool))
    with pytest.raises(ValueError, match="knows the names"):
        nameless.to_json()
    with pytest.raises(ValueError, match="knows the names"):
        print(nameless.widths)


def test_names_of_another_number_are_refused():
    with pytest.raises(ValueError, match="each of the 6"):
        structure([True] * 5)
    with pytest.raises(ValueError, match="each of the 1"):
        structure([True] * 6, [True, False], names=("skip",))


def test_a_difference_counts_what_came_and_what_left():
    later = structure([1, 0, 1, 1, 0, 1], [False], names=("skip",))
    difference = StructureDiff(FIRST, later)
    first, second = difference.groups
    assert (first.before, first.after) == (3, 3)
    assert (first.gained, first.lost) == (1, 1)
    assert (second.gained, second.lost) == (0, 0)
    assert difference.gates == {"skip": (True, False)}
    assert difference
    text = str(difference)
    assert "│ a     │      3 │     3 │    4 │   +1 │   -1 │" in text
    assert "│ skip  │     on │   off │   on │      │      │" in text
    assert "1 more without a difference" in text and "│ b " not in text


def test_equal_structures_have_no_difference():
    difference = StructureDiff(FIRST, FIRST)
    assert not difference and str(difference) == "no difference"


def test_structures_of_different_networks_are_refused():
    other = structure([True] * 6, groups=(("a", 3), ("b", 3)))
    with pytest.raises(ValueError, match="built in the same way"):
        StructureDiff(FIRST, other)

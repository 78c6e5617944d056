"""Structures as text, and what is different between two."""

import json
import pathlib

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
    flags = []
    for size in sizes:  # each group keeps at least one unit
        part = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
        part[data.draw(st.integers(0, size - 1))] = True
        flags += part
    gates = data.draw(st.lists(st.booleans(), max_size=3))
    groups = tuple((f"group_{i}", size) for i, size in enumerate(sizes))
    names = tuple(f"gate_{i}" for i in range(len(gates)))
    one = structure(flags, gates, groups, names)
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
        (lambda c: c["groups"][0].update(units="1-"), "'1-' is no index"),
        (lambda c: c["groups"][0].update(units="3-1"), "'3-1' is no index"),
        (lambda c: c["groups"][0].update(units="-1"), "'-1' is no index"),
        (lambda c: c["groups"][0].update(units="0,,3"), "'' is no index"),
        (lambda c: c["groups"][0].update(units="0-1, 1"), "a unit twice"),
        (lambda c: c["groups"][0].update(units=[0, 1]), "no text such as"),
        (lambda c: c["groups"][0].update(units=""), "`a` without any unit"),
        (lambda c: c["groups"][0].update(width=0), "`a` with a width of 0"),
        (lambda c: c["groups"][0].update(width=-2), "width of -2"),
        (lambda c: c["groups"][0].update(width=2.5), "width of 2.5"),
        (lambda c: c["groups"][0].update(size=True), "size of True"),
        (lambda c: c["groups"][0].update(widht=3), "`widht` in group `a`"),
        (lambda c: c.update(gate={}), "`gate` in the structure"),
        (lambda c: c["groups"].append(c["groups"][0]), "group `a` twice"),
        (lambda c: c["groups"].append("b"), "'b' as group number 3"),
        (lambda c: c["groups"][1].pop("name"), "`name` of group number 2"),
        (lambda c: c["groups"][0].pop("size"), "`size` of group `a`"),
        (lambda c: c.pop("gates"), "lacks an entry: `gates`"),
        (lambda c: c.update(gates=["skip"]), "`gates` that map"),
        (lambda c: c.update(groups={}), "`groups` that are no list"),
        (lambda c: c["gates"].update(skip="off"), "gate `skip` of 'off'"),
        (lambda c: c.update(version="1"), "version '1'"),
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


def test_a_key_that_stands_twice_is_refused():
    text = FIRST.to_json().replace('"skip": true', '"skip": true, "skip": true')
    with pytest.raises(ValueError, match="`skip` twice"):
        kgp.Structure.from_json(text)


def test_a_group_without_width_and_units_is_refused():
    content = json.loads(FIRST.to_json())
    content["groups"][0] = {"name": "a", "size": 4}
    with pytest.raises(ValueError, match="`width` of group `a`"):
        kgp.Structure.from_json(json.dumps(content))


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_a_path_is_told_apart_from_text(kind, tmp_path):
    path = tmp_path / "structure.json"
    path.write_text(FIRST.to_json())
    with pytest.raises(ValueError, match="a path.*read_text"):
        kgp.Structure.from_json(kind(path))
    assert kgp.Structure.from_json(path.read_text()) == FIRST


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
    assert "│ skip  │     in │   out │   in │      │      │" in text
    assert "1 more without a difference" in text and "│ b " not in text


def test_equal_structures_have_no_difference():
    difference = StructureDiff(FIRST, FIRST)
    assert not difference and str(difference) == "no difference"


def test_structures_of_different_networks_are_refused():
    other = structure([True] * 6, groups=(("a", 3), ("b", 3)))
    with pytest.raises(ValueError, match="built in the same way"):
        StructureDiff(FIRST, other)

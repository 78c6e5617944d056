"""Structures find their groups and gates by name."""

import json

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from keras_growprune.structure import StructureDiff
from tests.networks import grow
from tests.networks import random_structure


def network(first="stem", gates=("skip", "jump"), filters=4):
    """Two residual blocks, named by the user, all of equal widths."""
    inputs = keras.Input((6, 6, 2))

    def convolution(x, name):
        return kgp.layers.GrowableConv2D(filters, 3, padding="same", name=name)(
            x
        )

    x = convolution(inputs, first)
    for gate in gates:
        y = convolution(keras.layers.ReLU()(x), f"inside_{gate}")
        y = convolution(y, f"end_{gate}")
        x = kgp.layers.GatedAdd(name=gate)([x, y])
    x = keras.layers.GlobalAveragePooling2D()(x)
    return inputs, keras.layers.Dense(3)(x)


def unnamed(count=3):
    inputs = x = keras.Input((5,))
    for _ in range(count):
        x = kgp.layers.GrowableDense(4)(x)
    return inputs, keras.layers.Dense(3)(x)


def changed(structure, change):
    content = json.loads(structure.to_json())
    change(content)
    return kgp.Structure.from_json(json.dumps(content))


def a_structure(make):
    model = grow(make())
    structure = random_structure(model, np.random.default_rng(0))
    structure.gates.setflags(write=True)
    structure.gates[1:] = False
    model.restructure(structure)
    return model.structure


def backwards(content):
    content["groups"].reverse()
    content["gates"] = dict(reversed(content["gates"].items()))


def test_the_order_of_lines_does_not_matter():
    structure = a_structure(network)
    assert len(set(structure.widths.values())) > 1
    shuffled = changed(structure, backwards)
    assert shuffled != structure  # its vectors are in another order
    model = grow(network())
    model.restructure(shuffled)
    assert model.structure == structure
    built = kgp.build(lambda: keras.Model(*network()), shuffled)
    shapes = [weight.shape for weight in built.weights]
    assert shapes == [w.shape for w in model.compact().weights]
    assert not kgp.diff(shuffled, model)
    assert not StructureDiff(model.structure, shuffled)


def test_a_structure_without_names_is_taken_as_it_is():
    structure = a_structure(network)
    model = grow(network())
    model.restructure(kgp.Structure(structure.units, structure.gates))
    assert model.structure == structure


def test_automatic_names_may_have_counted_on():
    model = grow(unnamed())
    units = [1, 0, 0, 0] + [1, 1, 0, 0] + [1, 1, 1, 0]
    model.restructure(kgp.Structure(units, []))
    later = grow(unnamed())
    assert later.structure.groups != model.structure.groups
    later.restructure(model.structure)
    assert list(later.widths.values()) == [1, 2, 3]


def test_automatic_names_of_another_network_have_its_order():
    structure = changed(grow(unnamed()).structure, backwards)
    with pytest.raises(ValueError, match=r"group `growable_dense"):
        grow(unnamed()).restructure(structure)


def rename(before, after):
    def change(content):
        for group in content["groups"]:
            if group["name"] == before:
                group["name"] = after
        gates = content["gates"]
        content["gates"] = {
            after if name == before else name: on for name, on in gates.items()
        }

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (rename("stem", "steam"), "group `steam`, which it does not have"),
        (rename("stem", "steam"), "nothing for its group `stem`"),
        (rename("skip", "ship"), "gate `ship`, which it does not have"),
        (lambda c: c["groups"].pop(0), "nothing for its group `stem`"),
        (lambda c: c["gates"].pop("jump"), "nothing for its gate `jump`"),
        (
            lambda c: c["groups"][0].update(size=9),
            "group `stem` of 9 units, where the network has 4",
        ),
    ],
)
def test_what_the_network_does_not_have_is_named(change, message):
    structure = changed(grow(network()).structure, change)
    model = grow(network())
    before = model.structure
    with pytest.raises(ValueError, match=message):
        model.restructure(structure)
    with pytest.raises(ValueError, match=message):
        model.untrained(structure)
    with pytest.raises(ValueError, match=message):
        kgp.build(lambda: keras.Model(*network()), structure)
    with pytest.raises(ValueError, match=message):
        kgp.diff(structure, model)
    assert model.structure == before


def test_a_mistyped_count_is_refused():
    model = grow(unnamed())
    name = model.structure.groups[1][0]
    structure = changed(model.structure, rename(name, f"{name}00"))
    with pytest.raises(ValueError, match=f"group `{name}00`, which it does"):
        model.restructure(structure)


def test_without_names_other_numbers_of_units_are_told():
    with pytest.raises(ValueError, match="5 units in groups, 2 gates; it"):
        grow(network()).restructure(kgp.Structure([1] * 5, [1, 1]))


def test_text_has_to_be_read_first():
    model = grow(network())
    with pytest.raises(ValueError, match="from_json"):
        model.restructure(model.structure.to_json())

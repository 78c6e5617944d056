import numpy as np
import pytest

from keras_growprune.structure import Structure


def test_masks_are_boolean_copies():
    units = np.array([1, 0])
    structure = Structure(units, [1])
    units[:] = 1
    assert structure.units.dtype == bool
    assert structure.units.tolist() == [True, False]
    assert structure.gates.tolist() == [True]


def test_masks_cannot_be_changed():
    structure = Structure([1, 0], [1])
    with pytest.raises(ValueError, match="read-only"):
        structure.units[0] = False
    with pytest.raises(ValueError, match="read-only"):
        structure.gates[0] = False
    with pytest.raises(AttributeError):
        structure.units = np.ones(2, bool)


def test_structures_are_equal_when_all_masks_are():
    structure = Structure([1, 0], [1])
    assert structure == Structure(np.array([True, False]), np.array([True]))
    assert structure != Structure([1, 1], [1])
    assert structure != Structure([1, 0], [0])
    assert structure != Structure([1, 0, 0], [1])
    assert structure != "structure"


def test_they_are_shown_by_widths_and_gates():
    structure = Structure(
        [1, 0, 1], [1, 0], (("stem", 2), ("end", 1)), ("skip", "jump")
    )
    assert repr(structure) == (
        "Structure(widths={'stem': 1, 'end': 1}, "
        "gates={'skip': True, 'jump': False})"
    )
    nameless = Structure([1, 0, 1], [1])
    assert repr(nameless) == "Structure(2 of 3 units, 1 of 1 gate)"


def test_structures_have_no_hash():
    with pytest.raises(TypeError, match="unhashable"):
        hash(Structure([1], []))

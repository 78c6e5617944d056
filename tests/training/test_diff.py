"""Two moments of a run, from models and from files."""

import keras
import pytest

import keras_growprune as kgp
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import grow
from tests.networks import residual
from tests.networks import with_units


@pytest.fixture
def model():
    model = compile_model(grow(residual(filters=4, blocks=1)))
    model.restructure(with_units(model, [0, 1], [0, 1], gates=[True]))
    return model


def moved(model):
    model.restructure(with_units(model, [1, 2, 3], [0], gates=[False]))
    return model


@pytest.mark.parametrize("name", ["before.keras", "before.weights.h5"])
def test_a_file_is_compared_without_its_model(name, model, tmp_path):
    path = tmp_path / name
    save = model.save if name.endswith(".keras") else model.save_weights
    save(path)
    assert not kgp.diff(path, model)
    difference = kgp.diff(str(path), moved(model))
    counts = [(g.gained, g.lost) for g in difference.groups]
    assert counts == [(2, 1), (0, 1)]
    assert list(difference.gates.values()) == [(True, False)]
    difference = kgp.diff(model, path)
    assert [(g.gained, g.lost) for g in difference.groups] == [(1, 2), (1, 0)]


def test_a_growing_part_of_a_saved_model_is_found(model, tmp_path):
    inputs = keras.Input((6, 6, 2))
    outer = keras.Model(inputs, keras.layers.Softmax()(model(inputs)))
    outer.save(tmp_path / "outer.keras")
    assert not kgp.diff(tmp_path / "outer.keras", model)


def test_what_has_no_structure_is_refused(model, tmp_path):
    plain = tmp_path / "plain.keras"
    model.compact().save(plain)
    text = tmp_path / "text.keras"
    text.write_text("nothing")
    for path in (plain, text):
        with pytest.raises(ValueError, match="without a structure"):
            kgp.diff(path, model)
    for path in (tmp_path / "missing.keras", "missing.weights.h5"):
        with pytest.raises(FileNotFoundError, match=f"nothing at `{path}`"):
            kgp.diff(path, model)
    with pytest.raises(ValueError, match="without a structure"):
        kgp.diff(tmp_path, model)
    with pytest.raises(ValueError, match="GrowPruneModel"):
        kgp.diff(model.compact(), model)
    with pytest.raises(ValueError, match="built in the same way"):
        kgp.diff(grow(conv_chain()), model)

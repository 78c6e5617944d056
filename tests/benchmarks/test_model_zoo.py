"""A small part of the benchmark: the check itself, on small networks."""

import keras
import model_zoo
import numpy as np
import pytest
import witness

import keras_growprune as kgp


@pytest.mark.parametrize("name", ["MobileNetV3Small"])
def test_networks_of_keras_convert_exactly(name):
    row = model_zoo.check(model_zoo.build(name, size=32))
    for error in ("converted", "compact", "witness", "trace"):
        assert row[f"error_{error}"] < 1e-4, error
    assert row["share"] > 0.9
    assert 0.1 < row["flops_after"] / row["flops"] < 0.4
    assert row["convert"] < 10


def test_a_witness_of_another_structure_differs():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3, activation="relu")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(6, 3)(x))
    plain = keras.Model(inputs, keras.layers.Dense(3)(x))
    model, full = model_zoo.convert(plain), model_zoo.convert(plain)
    model.restructure(model_zoo.random_half(model))
    witness.make_witness(full, model.structure)
    images = np.ones((2, 8, 8, 3), "float32")
    small = model.compact()
    assert model_zoo.difference(full, small, images) < 1e-5
    other = model_zoo.convert(plain)
    units = model.structure.units.copy()
    units[np.argmax(units)] = False
    witness.make_witness(other, kgp.Structure(units, []))
    assert model_zoo.difference(other, small, images) > 1e-3

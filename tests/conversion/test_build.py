"""Plain networks of a structure, from a user's own code."""

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from tests.networks import grow
from tests.networks import random_structure
from tests.networks import residual

layers = keras.layers


def plain(filters=4):
    """What `residual` is, in plain Keras layers."""
    inputs = keras.Input((6, 6, 2))

    def convolution(x):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    x = layers.ReLU()(convolution(inputs))
    y = convolution(layers.ReLU()(convolution(x)))
    x = layers.ReLU()(layers.Add()([x, y]))
    return keras.Model(
        inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))
    )


def shapes(model):
    return [tuple(weight.shape) for weight in model.weights]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "make",
    [plain, lambda: keras.Model(*residual()), lambda: grow(residual())],
    ids=["plain", "with growable layers", "growing"],
)
def test_the_plain_network_has_the_structure(make, seed):
    model = grow(residual())
    random = np.random.default_rng(seed)
    model.restructure(random_structure(model, random))
    built = kgp.build(make, model.structure.to_json())
    assert type(built) is keras.Model or not isinstance(
        built, kgp.GrowPruneModel
    )
    assert shapes(built) == shapes(model.compact())
    x = np.ones((1, 6, 6, 2), "float32")
    assert not np.allclose(built(x), model.compact()(x))  # fresh weights


def test_frozen_layers_are_named_again():
    network = plain()
    first = network.layers[1].name
    model = kgp.growable(
        network, kgp.Budget(params=0.5), freeze=[first], seed=0
    )
    built = kgp.build(lambda: network, model.structure, freeze=[first])
    assert shapes(built) == shapes(model.compact())


def test_a_path_in_place_of_text_is_told(tmp_path):
    path = tmp_path / "structure.json"
    path.write_text(grow(residual()).structure.to_json())
    for given in (path, str(path)):
        with pytest.raises(ValueError, match="a path.*read_text"):
            kgp.build(plain, given)


def test_another_network_is_refused():
    model = grow(residual())
    with pytest.raises(ValueError, match="Argument `structure`"):
        kgp.build(lambda: plain(filters=5), model.structure)
    with pytest.raises(ValueError, match="Argument `model_fn`"):
        kgp.build(plain(), model.structure)

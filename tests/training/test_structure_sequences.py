"""Whatever structures a network has had, and however often it was saved in
between: the first one comes back with every bit."""

import keras
import numpy as np
import pytest
from hypothesis import Phase
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies

from tests.networks import build_optimizer
from tests.networks import examples
from tests.networks import grow
from tests.networks import network_arrays
from tests.networks import random_network
from tests.networks import random_structure
from tests.networks import randomize


def to_keras_file(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def to_weights_file(model, folder):
    """Into a new model of another structure, as a program started again."""
    model.save_weights(folder / "model.weights.h5")
    other = type(model).from_config(model.get_config())
    other.compile_from_config(model.get_compile_config())
    other.load_weights(folder / "model.weights.h5")
    return other


def to_list(model, folder):
    """Away, and back with the list of weights."""
    weights = model.get_weights()
    model.restructure(random_structure(model, np.random.default_rng(9)))
    model.set_weights(weights)
    return model


def to_another_structure(seed):
    def change(model, folder):
        random = np.random.default_rng(seed)
        model.restructure(random_structure(model, random))
        return model

    return change


# Restructuring is what it is about, the others come in between.
STEPS = strategies.one_of(
    strategies.integers(0, 99),
    strategies.integers(0, 99),
    strategies.sampled_from([to_keras_file, to_weights_file, to_list]),
)
OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "average": lambda: keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True),
}


def check(folder, kind, optimizer, first, steps):
    model = grow(random_network(kind, layer_norm=kind % 2 == 0))
    build_optimizer(model, OPTIMIZERS[optimizer]())
    random = np.random.default_rng(first)
    model.restructure(random_structure(model, random))
    randomize(model, random)
    structure, x = model.structure, examples(model)[0]
    arrays, outputs = network_arrays(model), model.predict(x, verbose=0)
    for step in steps:
        if isinstance(step, int):
            step = to_another_structure(step)
        model = step(model, folder)
    model.restructure(structure)
    after = network_arrays(model)
    assert arrays.keys() == after.keys()
    for key, value in arrays.items():
        weight = model._growth.blueprint.map.weights[key[0]]
        if weight.attribute.startswith("moving_"):
            continue  # of a network that was another one meanwhile: anew
        np.testing.assert_array_equal(value, after[key], str(key))
    if not any("moving_" in v.path for v in model.weights):
        again = model.predict(x, verbose=0)
        np.testing.assert_array_equal(again, outputs)


COMBINATIONS = {
    "kind": strategies.integers(0, 9),
    "optimizer": strategies.sampled_from(sorted(OPTIMIZERS)),
    "first": strategies.integers(0, 99),
    "steps": strategies.lists(STEPS, min_size=1, max_size=4),
}
# Networks are too slow to look for a simpler example.
SEARCH = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(max_examples=3, deadline=None, phases=SEARCH)
@given(**COMBINATIONS)
@pytest.mark.filterwarnings("ignore:The weights that were set belong")
def test_the_first_structure_comes_back_with_every_bit(
    tmp_path_factory, **combination
):
    check(tmp_path_factory.mktemp("files"), **combination)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, phases=SEARCH)
@given(**COMBINATIONS)
def test_any_of_many_sequences_comes_back_with_every_bit(
    tmp_path_factory, **combination
):
    check(tmp_path_factory.mktemp("files"), **combination)

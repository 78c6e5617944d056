"""The same seed gives the same run, bit by bit."""

import keras
import numpy as np
import pytest

from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import dense
from tests.networks import fit
from tests.networks import grow
from tests.networks import residual
from tests.networks import with_units


def run(network, rule):
    keras.utils.set_random_seed(0)
    model = grow(network(), seed=3, rule=rule)
    compile_model(model, "adam")
    structures = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            structures.append(model.structure)

    history = fit(model, epochs=3, callbacks=[Look()], shuffle=True)
    return model, structures, history


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "network,rule", [(residual, "saliency"), (dense, "paper")]
)
def test_the_same_seed_gives_the_same_masks_and_weights(network, rule):
    one, masks, history = run(network, rule)
    other, same_masks, same_history = run(network, rule)
    assert len(masks) == 3 and masks == same_masks
    assert history == same_history
    assert_same_bits(one.weights, other.weights)
    assert_same_bits(one.optimizer.variables, other.optimizer.variables)


def test_another_seed_draws_other_newcomers():
    kernels = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(0)
        model = grow(dense((4,)), seed=seed)
        model.restructure(with_units(model, [0, 1, 2]))
        kernels.append(model.layers[1].kernel.numpy())
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).min() > 0


@pytest.mark.parametrize("keras_seed,equal", [(0, True), (1, False)])
def test_without_a_seed_keras_own_seed_counts(keras_seed, equal):
    keras.utils.set_random_seed(0)
    one = grow(residual(5), seed=None)
    keras.utils.set_random_seed(keras_seed)
    other = grow(residual(5), seed=None)
    assert (one.get_config()["seed"] == other.get_config()["seed"]) == equal
    pairs = zip(one.weights, other.weights, strict=True)
    assert all((a.numpy() == b.numpy()).all() for a, b in pairs) == equal

"""The same seed gives the same run, bit by bit."""

import keras
import numpy as np
import pytest

from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import fit
from tests.networks import grow
from tests.networks import residual


def run(seed=3, rule="saliency", keras_seed=0):
    keras.utils.set_random_seed(keras_seed)
    model = grow(residual(5), seed=seed, rule=rule)
    compile_model(model, "adam")
    structures = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            structures.append(model.structure)

    history = fit(model, epochs=4, callbacks=[Look()], shuffle=True)
    return model, structures, history


@pytest.mark.parametrize("rule", ["saliency", "paper"])
def test_the_same_seed_gives_the_same_masks_and_weights(rule):
    (one, masks, history), (other, same_masks, same_history) = (
        run(rule=rule),
        run(rule=rule),
    )
    assert len(masks) == 4 and masks == same_masks
    assert history == same_history
    assert_same_bits(one.weights, other.weights)
    assert_same_bits(one.optimizer.variables, other.optimizer.variables)


def test_another_seed_draws_other_newcomers():
    one, other = run(seed=3)[0], run(seed=4)[0]
    kernels = [model.layers[1].kernel.numpy() for model in (one, other)]
    assert kernels[0].shape != kernels[1].shape or (
        np.abs(kernels[0] - kernels[1]).max() > 0
    )


@pytest.mark.parametrize("keras_seed,equal", [(0, True), (1, False)])
def test_without_a_seed_keras_own_seed_counts(keras_seed, equal):
    keras.utils.set_random_seed(0)
    one = grow(residual(5), seed=None)
    keras.utils.set_random_seed(keras_seed)
    other = grow(residual(5), seed=None)
    assert (one.get_config()["seed"] == other.get_config()["seed"]) == equal
    same = [(a.numpy() == b.numpy()).all() for a, b in zip(one.weights, other.weights)]
    assert all(same) == equal

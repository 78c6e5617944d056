import keras
import numpy as np
import pytest

import keras_growprune as kgp
from tests.distribution.replicas import one_device
from tests.distribution.replicas import sgd
from tests.distribution.replicas import two_replicas

pytestmark = pytest.mark.slow
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def data():
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 5))
    return x, random.integers(3, size=64)


def teacher():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,))
    x = keras.layers.Dense(12, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3)(x))


@pytest.mark.parametrize("teacher_inside", [False, True])
def test_replicas_learn_of_a_teacher_as_one_device_does(teacher_inside):
    keras.config.set_floatx("float64")
    try:
        found = []
        for strategy in (one_device(), two_replicas()):
            network = None if teacher_inside else teacher()
            with strategy.scope():
                network = network or teacher()
                model = kgp.growable(
                    network,
                    kgp.Budget(params=0.6),
                    start="weights",
                    seed=0,
                    distillation=True,
                )
                model.compile(sgd(), LOSS)
            model.fit(*data(), batch_size=16, epochs=5, verbose=0)
            found.append((model.structure, model.get_weights()))
    finally:
        keras.config.set_floatx("float32")
    assert found[0][0] == found[1][0]
    for one, two in zip(found[0][1], found[1][1]):
        np.testing.assert_allclose(two, one, rtol=1e-7, atol=1e-9)

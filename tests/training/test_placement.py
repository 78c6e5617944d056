"""A network that is built in the host's memory, and grows on a device.

The second CPU stands for the host, the first one for the device: that is where
TensorFlow makes variables unless it is told otherwise.
"""

import contextlib
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp
from tests.networks import compile_model

HOST = "CPU:1"


def network():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(16, 3, use_bias=False)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    y = keras.layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
    y = keras.layers.BatchNormalization()(y)
    x = keras.layers.Add()([x, y])
    x = keras.layers.Dropout(0.1, seed=1)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(10)(x))


@contextlib.contextmanager
def made_on_the_device():
    """Yields a list that grows by the size of each variable made there."""
    sizes = []

    def create(next_creator, **arguments):
        variable = next_creator(**arguments)
        if variable.device.endswith("CPU:0"):
            sizes.append(math.prod(variable.value().shape))
        return variable

    with tf.variable_creator_scope(create):
        yield sizes


def entries(variables):
    return sum(math.prod(variable.shape) for variable in variables)


def growing(host, start, **kwargs):
    """A growing network, and what of it the device held at most."""
    keras.utils.set_random_seed(3)
    with tf.device(host):
        plain = network()
    budget = kgp.Budget(flops=0.5)
    with made_on_the_device() as sizes:
        model = kgp.growable(plain, budget, start=start, seed=0, **kwargs)
    return model, sum(sizes), entries(plain.variables)


@pytest.mark.parametrize("shape", ["narrow", "shallow"])
def test_the_device_never_holds_a_network_that_was_built_on_the_host(shape):
    schedule = kgp.GrowthSchedule(seed_fraction=0.3, seed_shape=shape)
    model, most, full = growing(HOST, "seed", schedule=schedule)
    present = entries(model.variables)
    assert present < 0.6 * full
    # Besides, vectors that tell widths, and where a unit is.
    assert most < present + 0.1 * full
    assert all(v.value.device.endswith("CPU:0") for v in model.variables)


def test_the_device_holds_all_where_growing_begins_with_all():
    model, most, full = growing(HOST, "weights")
    assert most >= full
    assert all(v.value.device.endswith("CPU:0") for v in model.variables)


@pytest.mark.parametrize("start", ["seed", "weights"])
def test_it_learns_what_it_would_have_learned_from_the_device(start):
    random = np.random.default_rng(0)
    x = random.normal(size=(32, 8, 8, 3)).astype("float32")
    y = random.integers(0, 10, 32)
    answers = []
    for host in ("CPU:0", HOST):
        model, _, _ = growing(host, start)
        compile_model(model, keras.optimizers.SGD(0.1, momentum=0.9))
        model.fit(x, y, batch_size=8, epochs=6, verbose=0)
        assert model.settled
        answers.append((model.structure, model.predict(x, verbose=0)))
    (structure, one), (other_structure, other) = answers
    assert structure == other_structure
    np.testing.assert_array_equal(one, other)


def test_layers_that_are_written_growable_leave_the_host_too():
    with tf.device(HOST):
        inputs, outputs = kgp.models.mobilenet((32, 32, 3), 10, width=0.25)
        full = entries(keras.Model(inputs, outputs).variables)
    schedule = kgp.GrowthSchedule(seed_fraction=0.2)
    with made_on_the_device() as sizes:
        model = kgp.GrowPruneModel(
            inputs, outputs, kgp.Budget(flops=0.5), schedule, seed=0
        )
    assert sum(sizes) < 0.6 * full
    assert all(v.value.device.endswith("CPU:0") for v in model.variables)


def test_what_a_scope_asks_for_stays_on_its_device():
    with tf.device(HOST):
        model, _, _ = growing(HOST, "seed")
        assert all(v.value.device.endswith(HOST) for v in model.variables)

"""A network that is built in the host's memory, and grows on a device.

The second CPU stands for the host, the first one for the device: that is where
TensorFlow makes variables unless it is told otherwise.
"""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp

HOST = "CPU:1"


def loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


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


class DeviceMemory:
    """Counts what variables are made on the device, and how large.

    Inside, `made` maps the ids of TensorFlow variables to their entries.
    """

    def __enter__(self):
        self.made, self.kept = {}, []

        def create(next_creator, **arguments):
            variable = next_creator(**arguments)
            if variable.device.endswith("CPU:0"):
                self.kept.append(variable)  # its id is not used again
                self.made[id(variable)] = math.prod(variable.value().shape)
            return variable

        self._scope = tf.variable_creator_scope(create)
        self._scope.__enter__()
        return self

    def __exit__(self, *error):
        self._scope.__exit__(*error)


def entries(variables):
    return sum(math.prod(variable.shape) for variable in variables)


def growing(host, start, **kwargs):
    """A growing network, and what of it the device held at most."""
    keras.utils.set_random_seed(3)
    with tf.device(host):
        plain = network()
    budget = kgp.Budget(flops=0.5)
    with DeviceMemory() as memory:
        model = kgp.growable(plain, budget, start=start, seed=0, **kwargs)
    return model, sum(memory.made.values()), entries(plain.variables)


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
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss())
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
    with DeviceMemory() as memory:
        model = kgp.GrowPruneModel(
            inputs, outputs, kgp.Budget(flops=0.5), schedule, seed=0
        )
    assert sum(memory.made.values()) < 0.6 * full
    assert all(v.value.device.endswith("CPU:0") for v in model.variables)


def test_what_a_scope_asks_for_stays_on_its_device():
    with tf.device(HOST):
        model, _, _ = growing(HOST, "seed")
        assert all(v.value.device.endswith(HOST) for v in model.variables)

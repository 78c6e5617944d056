"""Loops of the user's own, and outer models, on several replicas."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_growprune as kgp
from tests.distribution import replicas
from tests.distribution.replicas import sgd
from tests.distribution.replicas import two_replicas

EPOCHS = 5


def growing(network):
    return kgp.GrowPruneModel(*network(), kgp.Budget(flops=0.5), seed=0)


def in_scope(strategy):
    keras.utils.set_random_seed(0)
    return strategy.scope() if strategy else contextlib.nullcontext()


def train_in_loop(strategy=None):
    with in_scope(strategy):
        model, optimizer = growing(replicas.skips), sgd()
    x, y = replicas.data(model)
    x = x.astype("float32")
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    if strategy:
        batches = strategy.experimental_distribute_dataset(batches)

    def step_of_replica(x, y):
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(
                y, model(x, training=True), from_logits=True
            )
            loss = tf.reduce_sum(losses) / 16.0
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    @model.traced
    def step(x, y):
        if strategy is None:
            return step_of_replica(x, y)
        losses = strategy.run(step_of_replica, args=(x, y))
        return strategy.reduce("SUM", losses, axis=None)

    losses, structures = [], []
    for _ in range(EPOCHS):
        model.begin_epoch(EPOCHS, optimizer)
        losses.append(np.mean([float(step(*batch)) for batch in batches]))
        model.end_epoch(losses[-1])
        structures.append(model.structure)
    return losses, structures, model.ledger.epochs


@pytest.mark.slow
def test_a_loop_of_ones_own_decides_and_trains_as_on_one_device():
    one, two = train_in_loop(), train_in_loop(two_replicas())
    assert one[1] == two[1]
    np.testing.assert_allclose(one[0], two[0], rtol=1e-5)
    for mine, other in zip(two[2], one[2], strict=True):
        assert mine["examples"] == other["examples"] == 64
        assert mine["traces"] <= other["traces"]


@pytest.mark.slow
def test_a_part_of_an_outer_model_decides_and_trains_as_on_one_device():
    def train(strategy=None):
        with in_scope(strategy):
            part = growing(replicas.residual)
            inputs = keras.Input((6, 6, 2))
            outer = keras.Model(inputs, layers.Dense(3)(part(inputs)))
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            outer.compile(sgd(), loss)
        x, y = replicas.data(part)
        grow = kgp.callbacks.Grow(part)
        kwargs = dict(batch_size=16, verbose=0, shuffle=False)
        history = outer.fit(x, y, epochs=EPOCHS, callbacks=[grow], **kwargs)
        return history.history["loss"], part.structure, part.ledger.epochs

    one, two = train(), train(two_replicas())
    assert one[1] == two[1]
    np.testing.assert_allclose(one[0], two[0], rtol=1e-5)
    examples = [[epoch["examples"] for epoch in each[2]] for each in (one, two)]
    assert examples[0] == examples[1]

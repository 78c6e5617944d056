"""Training that is not `GrowPruneModel.fit`, and what it decides."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_growprune as kgp
from tests.networks import compile_model
from tests.networks import examples
from tests.networks import grow

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
EPOCHS = 6
ENTRIES = {"cost", "flops", "params", "price", "settled"}

HOW = {
    "eager": lambda model, step: step,
    "tf.function": lambda model, step: tf.function(step, reduce_retracing=True),
    "traced": lambda model, step: model.traced(step),
    "traced tf.function": lambda model, step: model.traced(tf.function(step)),
}


class Record:
    """What was decided, and the losses of all epochs."""

    def __init__(self):
        self.structures, self.losses, self.logs = [], [], []

    def changes(self):
        pairs = zip(self.structures, self.structures[1:])
        return sum(one != other for one, other in pairs)

    def assert_same(self, other):
        assert self.structures == other.structures
        np.testing.assert_allclose(self.losses, other.losses, atol=1e-5)
        for one, two in zip(self.logs, other.logs, strict=True):
            for name in ENTRIES:
                # The price is a difference of small numbers.
                rtol = 1e-2 if name == "price" else 1e-6
                assert one[name] == pytest.approx(two[name], rel=rtol, abs=1e-7)


def batches(model):
    """Two batches, as tensors; those of `tests.networks.fit`."""
    x, y = examples(model)
    if "int" in keras.backend.standardize_dtype(model.inputs[0].dtype):
        x = np.abs(x * 2).astype("int32")
    return [
        (tf.constant(x[i : i + 16]), tf.constant(y[i : i + 16]))
        for i in (0, 16)
    ]


def training_step(model, optimizer, with_penalties=True):
    """A step as users write it: it knows nothing of growing."""

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = LOSS(y, model(x, training=True))
            if with_penalties and model.losses:
                loss = loss + sum(model.losses)
            scaled = optimizer.scale_loss(loss)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(scaled, variables), variables)
        return loss

    return step


def train_in_loop(
    model, optimizer, how="eager", first=0, last=EPOCHS, of=EPOCHS, **kwargs
):
    record = Record()
    step = HOW[how](model, training_step(model, optimizer, **kwargs))
    for _ in range(first, last):
        model.begin_epoch(of, optimizer)
        record.structures.append(model.structure)
        losses = [step(x, y) for x, y in batches(model)]
        record.losses.append(np.mean(losses))
        record.logs.append(model.end_epoch(record.losses[-1]))
    return record


def train_in_fit(model, optimizer):
    record = Record()

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            record.structures.append(model.structure)

        def on_epoch_end(self, epoch, logs=None):
            record.losses.append(logs["loss"])
            record.logs.append(dict(logs))

    compile_model(model, optimizer)
    x, y = map(np.concatenate, zip(*batches(model)))
    model.fit(
        x,
        y,
        batch_size=16,
        epochs=EPOCHS,
        verbose=0,
        shuffle=False,
        callbacks=[Look()],
    )
    return record


def two_alike(network, **kwargs):
    """Two growing models that draw the same random numbers."""
    models = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        models.append(grow(network(), **kwargs))
    return models


class Outer(keras.Model):
    """A subclassed model around another one; counts its traces."""

    def __init__(self, part):
        super().__init__()
        self.part = part
        self.scale = layers.Dense(3)
        self.traces = 0

    def call(self, inputs, training=None):
        return self.scale(self.part(inputs, training=training))

    def train_step(self, data):
        self.traces += 1
        return super().train_step(data)


def nested(part):
    inputs = keras.Input(part.inputs[0].shape[1:])
    return keras.Model(inputs, layers.Dense(3)(part(inputs)))


def fit_outer(outer, student, epochs=EPOCHS, **kwargs):
    x, y = examples(student)
    kwargs.setdefault("callbacks", [kgp.callbacks.Grow(student)])
    return outer.fit(
        x,
        y,
        batch_size=16,
        epochs=epochs,
        verbose=0,
        validation_data=(x, y),
        **kwargs,
    ).history

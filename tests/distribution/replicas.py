"""Trainings on one device and on several, to be compared."""

import contextlib
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_growprune as kgp
from tests.networks import head


@functools.cache
def two_replicas():
    """On two logical devices; one strategy for all tests of a process.

    TensorFlow numbers what is summed up by the order in which it is traced.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def one_device():
    return tf.distribute.OneDeviceStrategy("CPU:1")


def sgd(**kwargs):
    return keras.optimizers.SGD(0.05, momentum=0.9, **kwargs)


def normed(
    x,
    filters=6,
    activate=True,
    synchronized=True,
    **kwargs,
):
    """Growable convolution and a batch norm."""
    x = kgp.layers.GrowableConv2D(
        filters,
        3,
        padding="same",
        use_bias=False,
    )(x)
    x = layers.BatchNormalization(synchronized=synchronized, **kwargs)(x)
    return layers.ReLU()(x) if activate else x


def residual(blocks=2, synchronized=True):
    inputs = keras.Input((6, 6, 2))
    x = normed(inputs, synchronized=synchronized)
    for _ in range(blocks):
        y = normed(x, synchronized=synchronized)
        y = normed(y, activate=False, synchronized=synchronized)
        x = layers.ReLU()(kgp.layers.GatedAdd()([x, y]))
    return inputs, head(x)


def skips():
    """Layers that come as the identity, whose worth is read from a factor."""
    inputs = keras.Input((6, 6, 2))
    x = normed(inputs)
    for _ in range(2):
        x = kgp.layers.GatedSkip()([x, normed(x, scale=False)])
    return inputs, head(x)


def recurrent():
    inputs = keras.Input((5,), dtype="int32")
    x = kgp.layers.GrowableEmbedding(12, 6)(inputs)
    x = kgp.layers.GatedLSTM(6, return_sequences=True)(x)
    return inputs, layers.Dense(3)(kgp.layers.GatedGRU(5)(x))


def penalized():
    inputs = x = keras.Input((6, 6, 2))
    for _ in range(2):
        x = kgp.layers.GrowableConv2D(
            6, 3, padding="same", kernel_regularizer=keras.regularizers.L2(0.01)
        )(x)
        x = layers.ReLU()(x)
    return inputs, head(x)


def data(model, count=64):
    """Inputs and labels that have to do with each other."""
    random = np.random.default_rng(0)
    shape = (count, *model.input_shape[1:])
    if "int" in keras.backend.standardize_dtype(model.inputs[0].dtype):
        x = random.integers(0, 12, shape).astype("int32")
        return x, (x[:, 0] % 3).astype("int32")
    x = random.normal(size=shape)
    return x, x.reshape(count, -1)[:, :3].argmax(1).astype("int32")


class Run:
    """A training of a few epochs, and what was decided in it.

    Args:
        network: Function that returns inputs and outputs.
        strategy: A `tf.distribute.Strategy` or None.
        optimizer: Function that returns an optimizer.
        kind: The class of the model.
        epochs: Epochs.
        fits_inside: Whether `fit` is called in the scope.
        count: Number of examples.
        **kwargs: Arguments of the model, and of `compile`.
    """

    batch_size = 16

    def __init__(
        self,
        network,
        strategy=None,
        optimizer=sgd,
        kind=kgp.GrowPruneModel,
        epochs=5,
        fits_inside=False,
        count=64,
        compile_with=None,
        **kwargs,
    ):
        keras.utils.set_random_seed(0)
        scope = contextlib.nullcontext if strategy is None else strategy.scope
        kwargs.setdefault("budget", kgp.Budget(flops=0.5))
        with scope():
            self.model = kind(*network(), seed=0, **kwargs)
            # Of the precision that there is now.
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            self.model.compile(optimizer(), loss, **(compile_with or {}))
        self.x, self.y = data(self.model, count)
        self.structures = []
        with scope() if fits_inside else contextlib.nullcontext():
            self.history = self.fit(epochs)

    def fit(self, epochs, callbacks=()):
        model = self.model

        class Look(keras.callbacks.Callback):
            def on_epoch_end(_, epoch, logs=None):
                self.structures.append(model.structure)

        return model.fit(
            self.x,
            self.y,
            batch_size=self.batch_size,
            epochs=epochs,
            verbose=0,
            shuffle=False,
            callbacks=[Look(), *callbacks],
        ).history

    @property
    def losses(self):
        return self.history["loss"]

    def changes(self):
        pairs = zip(self.structures, self.structures[1:])
        return sum(one != other for one, other in pairs)

    def ledger(self, name):
        return [epoch[name] for epoch in self.model.ledger.epochs]


def digits_network(norms):
    """A residual network for the digits.

    Args:
        norms: None, `"ordinary"` or `"synchronized"`.
    """

    def block(x, activate=True):
        x = kgp.layers.GrowableConv2D(
            16,
            3,
            padding="same",
            use_bias=not norms,
            kernel_initializer="he_normal",
        )(x)
        if norms:
            x = layers.BatchNormalization(
                momentum=0.9, synchronized=norms == "synchronized"
            )(x)
        return layers.ReLU()(x) if activate else x

    inputs = keras.Input((8, 8, 1))
    x = block(inputs)
    for _ in range(2):
        y = block(block(x), activate=False)
        x = layers.ReLU()(kgp.layers.GatedAdd()([x, y]))
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    return inputs, layers.Dense(10)(x)


class OnDigits(Run):
    """Ten epochs of the digits."""

    batch_size = 64

    def __init__(self, network, strategy=None, rate=0.05):
        super().__init__(
            network,
            strategy,
            lambda: keras.optimizers.SGD(rate, momentum=0.9),
            epochs=10,
        )

    def fit(self, epochs):
        datasets = pytest.importorskip("sklearn.datasets")
        digits = datasets.load_digits()
        order = np.random.default_rng(0).permutation(len(digits.images))[:1280]
        self.x = digits.images[order, :, :, None] / 8 - 1
        self.y, self.widths = digits.target[order], []
        look = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self.widths.append(
                list(self.model.widths.values())
            )
        )
        return super().fit(epochs, [look])


def copies(model):
    """What each replica has of each variable: a list of lists of arrays."""
    return [
        [each.numpy() for each in variable.value.values]
        for variable in model.variables
    ]


def assert_replicas_agree(model):
    for first, *others in copies(model):
        for other in others:
            np.testing.assert_array_equal(first, other)

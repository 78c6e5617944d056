"""What is measured at the end of an epoch needs little memory."""

import weakref

import keras
import tensorflow as tf

import keras_growprune as kgp
from tests import networks

DEPTH = 10


class Watched:
    """An activation that counts its outputs that are still alive."""

    def __init__(self):
        self.alive, self.most = [], 0

    def __call__(self, x):
        y = keras.ops.relu(x)
        if isinstance(y, tf.Tensor) and hasattr(y, "numpy"):  # not traced
            self.alive = [ref for ref in self.alive if ref() is not None]
            self.alive.append(weakref.ref(y))
            self.most = max(self.most, len(self.alive))
        return y


def test_features_are_not_kept_until_the_last_layer_has_run():
    watched = Watched()
    inputs = x = keras.Input((5,))
    for _ in range(DEPTH):
        x = kgp.layers.GrowableDense(6)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Activation(watched)(x)
    outputs = keras.layers.Dense(3)(x)
    model = networks.compile_model(networks.grow((inputs, outputs)))
    watched.most = 0
    networks.fit(model, epochs=2)
    assert 0 < watched.most <= 3

"""What examples find where they begin: modules, data, and some networks."""

import keras
import numpy as np
import tensorflow as tf

import keras_growprune as kgp

CLASSES = 10
_COUNT = 64


def namespace():
    """A fresh namespace; networks are made where an example mentions them.

    Each of `_MAKERS` is a name: `network`, `trained`, `model`, ...
    """
    random = np.random.default_rng(0)
    images = random.random((_COUNT, 28, 28, 1), "float32")
    labels = np.arange(_COUNT) % CLASSES
    return _Namespace(
        __name__="example",
        keras=keras,
        np=np,
        tf=tf,
        kgp=kgp,
        images=images,
        labels=labels,
        test_images=images[: _COUNT // 2],
        test_labels=labels[: _COUNT // 2],
    )


class _Namespace(dict):
    """Globals of an example; Python asks `__missing__` for all others."""

    def __missing__(self, name):
        make = _MAKERS.get(name)
        if make is None:
            raise KeyError(name)  # a builtin, or nobody knows it
        self[name] = make(self)
        return self[name]


def _network(given):
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    y = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    y = keras.layers.BatchNormalization()(y)
    x = keras.layers.Add()([x, y])
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(x))


def _compiled(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def _trained(given):
    model = _compiled(_network(given))
    model.fit(given["images"], given["labels"], verbose=0)
    return model


def _model(given):
    return _compiled(kgp.growable(_network(given), kgp.Budget(flops=0.5)))


def _profile(given):
    return kgp.DeviceProfile(
        {
            "convolution": (0.5, 0.1, 0.05, 0.01),
            "dense": (0.5, 0.1, 0.05, 0.01),
        },
        block=4,
        runtime="tensorflow",
    )


def _time_on_phone(given):
    """A phone that takes a millisecond for a million multiply-adds."""
    return lambda network: 0.1 + kgp.count_flops(network) / 1e6


_MAKERS = {
    "model": _model,  # a `GrowPruneModel`, compiled, not trained
    "network": _network,  # what it was made of: plain, not trained
    "profile": _profile,
    "time_on_phone": _time_on_phone,
    "trained": _trained,  # the same as `network`, trained
}

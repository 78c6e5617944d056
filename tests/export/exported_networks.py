"""Growing networks of all kinds, small, with weights that tell."""

import keras
import numpy as np

import keras_growprune as kgp

layers = keras.layers


def convolutional():
    inputs = keras.Input((8, 8, 1), name="image")
    x = inputs
    for width in (8, 12):
        x = kgp.layers.GrowableConv2D(width, 3, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    return inputs, layers.Dense(10, name="scores")(x)


def residual():
    inputs = keras.Input((8, 8, 3))
    x = kgp.layers.GrowableConv2D(8, 3, padding="same")(inputs)
    for _ in range(2):
        y = kgp.layers.GrowableConv2D(8, 3, padding="same")(layers.ReLU()(x))
        x = kgp.layers.GatedAdd()([x, layers.BatchNormalization()(y)])
    x = layers.GlobalAveragePooling2D()(x)
    return inputs, layers.Dense(10)(x)


def recurrent():
    inputs = keras.Input((6, 5))
    x = kgp.layers.GatedLSTM(12, return_sequences=True)(inputs)
    y = kgp.layers.GatedGRU(12, return_sequences=True)(x)
    x = kgp.layers.GatedAdd()([x, y])
    x = layers.Bidirectional(kgp.layers.GatedLSTM(6))(x)
    return inputs, layers.Dense(10)(x)


def language_model():
    inputs = keras.Input((7,), dtype="int32")
    x = kgp.layers.GrowableEmbedding(30, 8)(inputs)
    x = kgp.layers.GatedLSTM(8, return_sequences=True)(x)
    return inputs, layers.Dense(30)(x)


NETWORKS = {
    each.__name__: each
    for each in (convolutional, residual, recurrent, language_model)
}


def grown(network, seed=0):
    """A growing model in the middle of growth, with drawn weights."""
    keras.utils.set_random_seed(seed)
    model = kgp.GrowPruneModel(*network(), kgp.Budget(params=0.7), seed=seed)
    draw_weights(model)
    return model


def draw_weights(model, seed=0):
    random = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.name == "moving_variance":
            variable.assign(random.uniform(0.5, 2, variable.shape))
        elif variable.dtype == "float32":
            variable.assign(0.4 * random.normal(size=variable.shape))


def samples(model, count=64):
    """Random inputs of a model with one input."""
    random = np.random.default_rng(1)
    (tensor,) = model.inputs
    shape = (count, *tensor.shape[1:])
    if tensor.dtype == "int32":
        return random.integers(30, size=shape).astype("int32")
    return random.normal(size=shape).astype("float32")


def names(folder):
    """Names of all that is in a folder, and in folders inside."""
    return sorted(path.name for path in folder.rglob("*"))

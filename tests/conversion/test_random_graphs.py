"""Random functional graphs of supported layers, with random structures."""

import hypothesis
import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers
from keras import ops

import keras_growprune as kgp
from tests.conversion.test_conversion_is_exact import assert_costs_are_those_of
from tests.conversion.test_conversion_is_exact import assert_equal_outputs
from tests.conversion.test_conversion_is_exact import randomize
from tests.networks import random_structure


def random_graph(random):
    """A functional model of up to a dozen random layers and operations."""
    inputs = keras.Input((4, 4, 2))
    tensors = [layers.Conv2D(6, 3, padding="same")(inputs)]
    for _ in range(int(random.integers(3, 12))):
        x = tensors[random.integers(len(tensors))]
        like = [y for y in tensors if tuple(y.shape) == tuple(x.shape)]
        y = like[random.integers(len(like))]
        tensors.append(_step(random, x, y))
    x = layers.GlobalMaxPooling2D()(tensors[-1])
    return keras.Model(inputs, layers.Dense(2)(x))


def _step(random, x, y):
    """A new tensor from one or two tensors of equal shape."""
    filters, same = int(random.integers(2, 7)), {"padding": "same"}
    channels = x.shape[-1]
    even = 2 if channels % 2 == 0 else 1
    choices = [
        lambda: layers.Conv2D(filters, 3, activation="relu", **same)(x),
        lambda: layers.Conv2D(channels, 1, use_bias=False)(x) + y,
        lambda: layers.Conv2D(2 * even, 3, groups=even, **same)(x),
        lambda: layers.Conv2D(2 * channels, 3, groups=channels, **same)(x),
        lambda: layers.SeparableConv2D(filters, 3, **same)(x),
        lambda: layers.DepthwiseConv2D(3, **same)(x),
        lambda: layers.Conv2DTranspose(filters, 3, **same)(x),
        lambda: layers.Dense(filters, activation="tanh")(x),
        lambda: layers.ReLU()(layers.BatchNormalization()(x)),
        lambda: layers.GroupNormalization(even)(x),
        lambda: layers.LayerNormalization()(x),
        lambda: layers.LayerNormalization(axis=[1, 3])(x),
        lambda: layers.LayerNormalization(axis=2)(x),
        lambda: layers.BatchNormalization(axis=1)(x),
        lambda: x + random.normal(size=(4, channels)).astype("float32"),
        lambda: ops.maximum(random.normal(size=x.shape[1:]), x),
        lambda: x * random.normal(size=(4, 1)).astype("float32"),
        lambda: layers.PReLU(shared_axes=[1, 2])(x),
        lambda: layers.Concatenate()([x, y]),
        lambda: ops.concatenate([x, x * 2.0], axis=1)[:, :4],
        lambda: layers.Multiply()([x, y]),
        lambda: ops.maximum(x, y) - 0.5 * x,
        lambda: x * ops.sigmoid(ops.mean(y, axis=(1, 2), keepdims=True)),
        lambda: x * layers.Dense(1)(y),
        lambda: layers.Reshape((4, 4, channels))(
            layers.Permute((2, 1))(
                ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (-1, channels, 16))
            )
        ),
        lambda: layers.Dropout(0.5)(ops.gelu(x)),
        lambda: _block(x),
        lambda: _recurrent(x, layers.LSTM(filters, return_sequences=True)),
        lambda: _recurrent(
            x,
            layers.Bidirectional(
                layers.GRU(filters, return_sequences=True),
                merge_mode=("concat", "sum", "mul")[filters % 3],
            ),
        ),
    ]
    return choices[random.integers(len(choices))]()


def _recurrent(x, layer):
    """A recurrent layer that reads the pixels one after the other."""
    y = layer(layers.Reshape((16, x.shape[-1]))(x))
    return layers.Reshape((4, 4, y.shape[-1]))(y)


def _block(x):
    """A model inside the model."""
    inner = keras.Input(tuple(x.shape[1:]))
    y = layers.Conv2D(3, 1, activation="relu")(inner)
    y = layers.Add()([inner, layers.Conv2D(x.shape[-1], 1)(y)])
    return keras.Model(inner, y)(x)


@hypothesis.settings(max_examples=25, deadline=None, derandomize=True)
@hypothesis.given(st.integers(0, 10**6))
def test_any_graph_is_exact(seed):
    random = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    plain = random_graph(random)
    randomize(plain, seed)
    full = kgp.Budget(params=1.0)
    try:
        model = kgp.growable(plain, full, start="weights", seed=0)
    except ValueError as error:
        assert "can grow or be pruned" in str(error)
        hypothesis.reject()
    assert_equal_outputs(plain, model, 1e-5)
    for _ in range(2):
        model.restructure(random_structure(model, random))
        small = model.compact()
        assert_equal_outputs(model, small, 1e-5)
        assert_costs_are_those_of(plain, model, small)

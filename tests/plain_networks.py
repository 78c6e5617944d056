"""Plain Keras networks of many kinds of layers, small enough to try all."""

import keras
import numpy as np
from keras import layers
from keras import ops


def _head(x, units=3):
    if len(x.shape) > 2:
        pooling = f"GlobalAveragePooling{len(x.shape) - 2}D"
        x = getattr(layers, pooling)()(x)
    return layers.Dense(units, name="logits")(x)


def joins():
    """Sums, products and the like, as layers and as operations."""
    inputs = keras.Input((6, 6, 2))
    a = layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    b = layers.Conv2D(6, 3, padding="same", use_bias=False)(inputs)
    b = layers.BatchNormalization()(b)
    x = layers.Multiply()([a, b])
    c = layers.Conv2D(6, 1)(x)
    x = layers.Maximum()([layers.Average()([x, c]), a])
    x = ops.relu(x - c * 0.5) + 1.0
    d = layers.Conv2D(4, 1)(x)
    x = ops.concatenate([d, x], axis=-1)
    x = ops.where(x > 0, x, 0.1 * x)
    return keras.Model(inputs, _head(x))


def squeeze_and_excitation():
    """Weights for channels, with and without axes of size one."""
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    s = layers.GlobalAveragePooling2D()(x)
    s = layers.Reshape((1, 1, 6))(s)
    s = layers.Conv2D(3, 1, activation="relu")(s)
    x = x * layers.Conv2D(6, 1, activation="sigmoid")(s)
    s = layers.GlobalMaxPooling2D(keepdims=True)(x)
    s = ops.squeeze(s, axis=(1, 2))
    s = layers.Dense(6, activation="sigmoid")(s)
    x = layers.Multiply()([x, s[:, None, None, :]])
    mask = layers.Conv2D(1, 1, activation="sigmoid")(x)
    return keras.Model(inputs, _head(x * mask))


def dense_blocks():
    """Everything so far side by side, as in DenseNet."""
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same")(inputs)
    for _ in range(2):
        y = layers.ReLU()(layers.BatchNormalization()(x))
        y = layers.Conv2D(3, 3, padding="same", use_bias=False)(y)
        x = layers.Concatenate()([x, y])
    x = layers.BatchNormalization()(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def separable():
    """Depthwise, separable, grouped and transposed convolutions."""
    inputs = keras.Input((6, 6, 2))
    x = layers.SeparableConv2D(6, 3, depth_multiplier=2, padding="same")(inputs)
    x = layers.SeparableConv2D(8, 3, depth_multiplier=2, padding="same")(x)
    x = layers.ReLU()(layers.BatchNormalization(scale=False)(x))
    x = layers.Conv2D(12, 3, groups=4, padding="same", activation="relu")(x)
    x = layers.Conv2D(8, 1, groups=2)(x)
    x = layers.Conv2D(16, 3, groups=8)(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2)(x)
    x = layers.Conv2DTranspose(5, 3, strides=2, activation="relu")(x)
    x = layers.UpSampling2D()(layers.Cropping2D(1)(x))
    return keras.Model(inputs, _head(layers.ZeroPadding2D(1)(x)))


def norms():
    """Instance normalization, PReLU, constants."""
    inputs = keras.Input((4, 4, 2))
    x = layers.Rescaling(0.5)(
        layers.Normalization(mean=0.1, variance=2)(inputs)
    )
    x = layers.Conv2D(8, 3, padding="same")(x)
    x = layers.PReLU(alpha_initializer="ones")(layers.BatchNormalization()(x))
    x = layers.Conv2D(6, 3, padding="same")(x)
    x = layers.PReLU(shared_axes=[1, 2])(layers.GroupNormalization(-1)(x))
    x = layers.Rescaling(2.0, offset=0.1)(x)
    return keras.Model(inputs, _head(x))


def sequences():
    """One dimension, recurrences in time left out."""
    inputs = keras.Input((12, 3))
    x = layers.Conv1D(6, 3, padding="causal", activation="relu")(inputs)
    x = layers.SeparableConv1D(6, 3, padding="same")(
        layers.DepthwiseConv1D(3)(x)
    )
    x = layers.MaxPooling1D()(layers.BatchNormalization()(x))
    x = layers.Conv1DTranspose(5, 2)(x)
    x = layers.TimeDistributed(layers.Dense(7, activation="relu"))(x)
    x = layers.TimeDistributed(layers.BatchNormalization())(x)
    x = layers.Dense(4, activation="relu")(x)
    x = layers.RepeatVector(2)(layers.Flatten()(layers.Permute((2, 1))(x)))
    return keras.Model(inputs, _head(layers.Dense(3)(x)))


def volumes():
    """Three dimensions, channels first."""
    inputs = keras.Input((4, 4, 4, 1))
    x = layers.Conv3D(4, 2, activation="relu")(inputs)
    x = layers.Conv3DTranspose(3, 2)(layers.AveragePooling3D(2)(x))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


def reshaping():
    """Axes that move, come and go around the channels."""
    inputs = keras.Input((4, 6, 2))
    x = layers.Conv2D(5, 3, padding="same", activation="relu")(inputs)
    x = ops.transpose(x[:, 1:], (0, 3, 1, 2))
    x = ops.swapaxes(ops.moveaxis(x, 1, -1), 1, 2)
    x = ops.expand_dims(x, 1)[:, 0]
    x = layers.Reshape((-1, 5))(x)
    x = layers.Dense(4, activation="relu")(x)
    x = ops.reshape(x, (-1, 6, 12))
    x = layers.Dense(5, activation="relu")(x)
    left, right = ops.split(x, 2, axis=1)
    x = ops.mean(left, axis=1) + ops.max(right, axis=1)
    x = ops.pad(x[..., None], ((0, 0), (0, 0), (0, 1)))
    x = layers.Dense(2)(layers.Flatten()(x))
    return keras.Model(inputs, x)


def slices():
    """Channels picked side by side: halves, gated linear units, shuffles."""
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    a, b = ops.split(x, 2, axis=-1)
    x = ops.concatenate([layers.Conv2D(4, 1)(b), a, x[..., 2:6]], axis=-1)
    x = layers.Dense(10)(x)
    x = x[:, 1:, :, :5] * ops.sigmoid(x[:, 1:, :, -5:])
    first = layers.Conv2D(3, 1)(x[..., :2])
    return keras.Model(inputs, _head(ops.concatenate([first, x], axis=-1)))


def nested():
    """Models inside, one of them used twice; several inputs and outputs."""
    one = keras.Input((5,), name="one")
    other = keras.Input((5,), name="other")
    twin = keras.Sequential(
        [keras.Input((5,)), layers.Dense(6, "relu", name="hidden")]
    )
    inner = keras.Input((6,))
    hidden = layers.Dense(4, activation="relu", name="hidden")(inner)
    block = keras.Model(inner, [hidden, inner + layers.Dense(6)(hidden)])
    a, b = block(ops.maximum(twin(one), twin(other)))
    shared = layers.Dense(6, activation="relu")
    b = shared(shared(b))
    return keras.Model(
        {"one": one, "other": other},
        {"left": layers.Dense(2)(a), "right": layers.Dense(2)(b)},
    )


def frozen_base():
    """A trained base that stays in inference mode, and a new head."""
    base = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.5),
        ]
    )
    base.trainable = False
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(5, 1, activation="relu")(base(inputs, training=False))
    return keras.Model(inputs, _head(x))


def attention():
    """A small transformer; layer norms look at all channels."""
    inputs = keras.Input((5, 3))
    x = layers.Dense(8)(inputs)
    y = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(2, 3)(y, y)
    norm = getattr(layers, "RMSNormalization", layers.LayerNormalization)
    y = layers.Dense(12, activation="gelu")(norm()(x))
    x = layers.Add()([x, layers.Dense(8)(y)])
    return keras.Model(inputs, _head(layers.UnitNormalization()(x)))


def group_norm():
    """Widths that divide."""
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(8, 3)(inputs)
    x = layers.ReLU()(layers.GroupNormalization(4)(x))
    return keras.Model(inputs, _head(layers.GroupNormalization(2)(x)))


def softmax_over_channels():
    """One output out of all channels, as many as there are."""
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(5, 3)(inputs)
    x = x * ops.mean(ops.softmax(x), axis=-1, keepdims=True)
    return keras.Model(inputs, _head(x))


def recurrent():
    """Recurrent layers, between convolutions, in both directions."""
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(5, 4)(inputs)
    x = layers.Conv1D(6, 3, padding="same")(x)
    x = layers.LSTM(5, return_sequences=True)(x)
    x = layers.Dense(4, activation="relu")(x)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(x)
    x, state = layers.SimpleRNN(3, return_state=True)(layers.Dense(4)(x))
    return keras.Model(inputs, layers.Dense(2)(x + state))


def stacked_recurrent():
    """Residual sums of LSTMs, masks, a head at each step."""
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(5, 4, mask_zero=True)(inputs)
    y = layers.LSTM(4, return_sequences=True, unroll=True)(x)
    x = layers.Add()([x, layers.Dropout(0.2)(y)])
    x = layers.Add()([x, layers.LSTM(4, return_sequences=True)(x)])
    x = layers.GRU(5, reset_after=False, return_sequences=True)(x)
    x = layers.GRU(4, use_bias=False, go_backwards=True, return_sequences=True)(
        x
    )
    return keras.Model(inputs, layers.TimeDistributed(layers.Dense(3))(x))


def both_directions():
    """All ways to merge two directions."""
    inputs = keras.Input((6, 2))
    x = layers.Dense(4)(inputs)
    for mode in ("concat", "sum", "mul", "ave"):
        layer = layers.LSTM(3, return_sequences=True)
        x = layers.Bidirectional(layer, merge_mode=mode)(x)
    forward, backward = layers.Bidirectional(layers.GRU(3), merge_mode=None)(x)
    both = layers.Bidirectional(layers.LSTM(3, return_state=True))(x)
    outputs = [layers.Dense(2)(each) for each in (forward, backward, *both)]
    return keras.Model(inputs, outputs)


def encoder_and_decoder():
    """A recurrent layer starts from the states of another one."""
    source = keras.Input((5,), dtype="int32", name="source")
    target = keras.Input((6,), dtype="int32", name="target")
    x = layers.Embedding(5, 4)(source)
    _, *states = layers.LSTM(6, return_state=True)(x)
    x = layers.Embedding(5, 3)(target)
    x = layers.LSTM(6, return_sequences=True)(x, initial_state=states)
    return keras.Model([source, target], layers.Dense(5)(x))


def tied_embeddings():
    """One table for words that come in and words that go out."""
    inputs = keras.Input((6,), dtype="int32")
    table = layers.ReversibleEmbedding(5, 8)
    x = layers.LSTM(7, return_sequences=True)(table(inputs))
    x = layers.LSTM(8, return_sequences=True)(x)
    return keras.Model(inputs, table(x, reverse=True))


def constants():
    """Positions and other constants, joined with what may change."""
    random = np.random.default_rng(0)

    def constant(*shape):
        return random.normal(size=shape).astype("float32")

    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 8)(inputs) * np.sqrt(8)
    x = x + layers.Embedding(6, 8)(ops.arange(6))
    x = layers.Add()([x, ops.convert_to_tensor(constant(1, 6, 8))])
    y = ops.multiply(constant(8), x) - constant(6, 1)
    y = layers.Conv1D(8, 3, padding="same")(y)
    x = ops.concatenate([x + y, ops.multiply(constant(6, 8), x)], axis=1)
    x = ops.concatenate([x, ops.relu(x), x * constant(8)], axis=-1)
    x = layers.Conv1D(5, 2, activation="relu")(x)
    x = ops.concatenate([ops.add(constant(5), ops.zeros_like(x)), x], axis=1)
    x = ops.where(x > constant(22, 5), constant(1, 1, 5), x)
    x = ops.transpose(layers.Dense(7)(x), (0, 2, 1)) + constant(7, 22)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def norms_of_positions():
    """Norms whose weights follow positions, not channels."""
    inputs = keras.Input((6, 4, 2))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    x = layers.BatchNormalization(axis=1)(x)
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    x = layers.LayerNormalization(axis=[1, 2])(x)
    y = layers.Conv2D(6, 1, activation="relu")(x)
    y = layers.LayerNormalization(axis=1, scale=False)(layers.Conv2D(6, 1)(y))
    x = layers.UnitNormalization(axis=2)(layers.Add()([x, y]))
    return keras.Model(inputs, _head(layers.Conv2D(5, 3)(x)))


def norms_of_everything():
    """Statistics over positions and channels."""
    inputs = keras.Input((6, 4, 2))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    x = layers.LayerNormalization(axis=[1, 2, 3])(x)
    y = layers.LayerNormalization(axis=[1, 3])(layers.Conv2D(8, 1)(x))
    x = layers.UnitNormalization(axis=[2, 3])(layers.Add()([x, y]))
    x = layers.GroupNormalization(2, axis=1)(layers.Conv2D(6, 3)(x))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


ACROSS_CHANNELS = (
    attention,
    group_norm,
    softmax_over_channels,
    norms_of_everything,
)
COMPLETE = (
    joins,
    squeeze_and_excitation,
    dense_blocks,
    separable,
    norms,
    constants,
    norms_of_positions,
    sequences,
    volumes,
    reshaping,
    slices,
    nested,
    frozen_base,
    recurrent,
    stacked_recurrent,
    both_directions,
    encoder_and_decoder,
    *([tied_embeddings] if hasattr(layers, "ReversibleEmbedding") else []),
)

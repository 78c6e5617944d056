"""The recurrent language model of the field."""

import keras

from keras_growprune.layers import GatedAdd
from keras_growprune.layers import GatedLSTM
from keras_growprune.layers import GrowableEmbedding
from keras_growprune.layers import GrowableReversibleEmbedding


def lstm_language_model(
    vocabulary,
    units=200,
    layers=2,
    steps=20,
    batch_size=20,
    dropout=0.0,
    tied=False,
    residual=False,
    stateful=True,
    initial_range=0.1,
    growable=True,
):
    """Stacked LSTMs that predict the next word at each step.

    The network of Zaremba et al. (2014), "Recurrent neural network
    regularization": an embedding as wide as the LSTMs, dropout in front of,
    between and behind them, never along time, and a dense layer. It carries
    its states from batch to batch, so the k-th sequence of a batch goes on
    where the k-th of the last one ended.

    Args:
        vocabulary: Number of words.
        units: Width of the embedding and of each LSTM. Defaults to 200.
        layers: Number of LSTMs. Defaults to 2.
        steps: Words in a sequence. Defaults to 20.
        batch_size: Sequences in a batch. May be `None` without `stateful`.
            Defaults to 20.
        dropout: Fraction of values that dropout leaves out. Defaults to 0.0.
        tied: Whether the embedding also is the matrix of the last layer (Press
            and Wolf, 2017). Needs `keras.layers.ReversibleEmbedding`. Defaults
            to `False`.
        residual: Whether each LSTM adds to its input, instead of replacing
            it. In a growable network an LSTM may leave then; all widths are
            one group. Defaults to `False`.
        stateful: Whether states are carried. Defaults to `True`.
        initial_range: Weights are drawn uniformly from minus to plus this
            number; biases start as Keras's do. Defaults to 0.1.
        growable: Whether to use growable layers. Without, the network is the
            plain twin. Defaults to `True`.

    Returns:
        `(inputs, outputs)`, for `GrowPruneModel` or `keras.Model`. Inputs are
        word numbers `(batch_size, steps)`, outputs logits `(batch_size,
        steps, vocabulary)`.

    Raises:
        ValueError: If `tied` is asked of a Keras that lacks the layer.

    Example:

    ```python
    network = kgp.models.lstm_language_model(vocabulary=10_000)
    model = kgp.GrowPruneModel(*network, kgp.Budget(params=0.35))
    model.output_shape  # (20, 20, 10_000)
    ```
    """
    if tied and GrowableReversibleEmbedding is None:
        raise ValueError(
            "Argument `tied` needs `keras.layers.ReversibleEmbedding`, which "
            f"came after Keras {keras.__version__}. Upgrade Keras, or leave "
            "`tied` out."
        )
    uniform = keras.initializers.RandomUniform

    def drawn():  # one initializer for each weight, with a seed of its own
        return uniform(-initial_range, initial_range)

    if growable:
        lstm, add = GatedLSTM, GatedAdd
        table = GrowableReversibleEmbedding if tied else GrowableEmbedding
    else:
        lstm, add = keras.layers.LSTM, keras.layers.Add
        name = "ReversibleEmbedding" if tied else "Embedding"
        table = getattr(keras.layers, name)
    table = table(vocabulary, units, embeddings_initializer=drawn())
    inputs = keras.Input(batch_shape=(batch_size, steps), dtype="int32")
    x = keras.layers.Dropout(dropout)(table(inputs))
    for _ in range(layers):
        y = lstm(
            units,
            return_sequences=True,
            stateful=stateful,
            kernel_initializer=drawn(),
            recurrent_initializer=drawn(),
        )(x)
        y = keras.layers.Dropout(dropout)(y)
        x = add()([x, y]) if residual else y
    if tied:
        return inputs, table(x, reverse=True)
    return inputs, keras.layers.Dense(vocabulary, kernel_initializer=drawn())(x)

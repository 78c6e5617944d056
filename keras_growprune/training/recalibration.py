"""Batch-norm statistics measured anew."""

import keras

from keras_growprune import backend
from keras_growprune import keras_internals


def recalibrate(model, norms, x, batch_size=None, steps=None):
    """Replaces the statistics of batch norms by their average over a data set.

    Args:
        model: A functional model.
        norms: Its `NormStatistics`.
        x: A `tf.data.Dataset` of batches, or an array.
        batch_size: Batch size for an array.
        steps: Most batches to use.
    """
    batches = backend.batches_of(x, batch_size or 32)
    if batches is None:
        raise ValueError(
            "Argument `x` must be a `tf.data.Dataset` of batches or an "
            f"array. Received: x of type {type(x).__name__}"
        )

    @backend.traced
    def step(inputs):
        with norms.momentum(plain_average=True):
            keras_internals.call_training_only(
                model, inputs, keras.layers.BatchNormalization
            )
        norms.count_step()

    norms.restart()
    for batch in batches.take(steps if steps is not None else -1):
        step(keras.utils.unpack_x_y_sample_weight(batch)[0])

"""Batch-norm statistics measured anew."""

import keras

from keras_growprune import backend
from keras_growprune.training.checked_arguments import check_count
from keras_growprune.training.checked_arguments import check_inputs


def recalibrate(model, norms, x, batch_size=None, steps=None):
    """Replaces the statistics of batch norms by their average over a data set.

    Args:
        model: A functional model.
        norms: Its `NormStatistics`.
        x: A `tf.data.Dataset` of batches, or an array.
        batch_size: Batch size for an array.
        steps: Most batches to use.
    """
    for name, value in (("batch_size", batch_size), ("steps", steps)):
        check_count(name, value)
    check_inputs(model, x, "x")
    batches = backend.batches_of(x, batch_size or 32)
    if batches is None:
        raise ValueError(
            "Argument `x` must be a `tf.data.Dataset` of batches or an "
            f"array. Received: x of type {type(x).__name__}"
        )

    step = backend.traced(
        lambda inputs: norms.average_step(model, inputs), rewrite=False
    )
    count = 0
    with norms.others_unchanged(model):
        for batch in batches.take(steps if steps is not None else -1):
            if not count:
                norms.restart()
            step(keras.utils.unpack_x_y_sample_weight(batch)[0])
            count += 1
    if not count:
        raise ValueError(
            "Argument `x` must hold at least one batch. Received: an empty "
            "data set. The statistics stay as they are."
        )

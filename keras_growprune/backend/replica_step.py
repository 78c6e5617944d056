"""What one replica does in a step, where there are several."""

import tensorflow as tf

from keras_growprune.backend.replicas import Replicas
from keras_growprune.backend.replicas import present_replicas


def replica_count():
    """How many replicas run the step that is being traced or run."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def is_first_replica():
    """Whether what is traced or run is so for the first time.

    Some strategies trace a step once for each replica of this worker.
    """
    context = tf.distribute.get_replica_context()
    if context is None:
        return True
    number = tf.get_static_value(context.replica_id_in_sync_group)
    if number is None:
        return True  # one trace for all
    return int(number) % Replicas(context.strategy).here == 0


def sum_over_replicas(values):
    """Sums of tensors over all replicas, where there are several.

    Args:
        values: List of tensors; None stays.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    result, of_types = list(values), {}
    for index, value in enumerate(values):
        if value is not None:
            of_types.setdefault(value.dtype, []).append(index)
    for indices in of_types.values():
        sums = context.all_reduce(
            tf.distribute.ReduceOp.SUM, [values[index] for index in indices]
        )
        for index, value in zip(indices, sums):
            result[index] = value
    return result


def to_be_averaged(logs):
    """What a step returns, so that Keras can average it over replicas.

    Of several workers, it averages along the first axis.

    Args:
        logs: Dict of scalars.
    """
    if present_replicas().workers == 1:
        return logs
    return {name: tf.reshape(value, [1]) for name, value in logs.items()}


def first_of_replicas(values):
    """What the first replica of this worker has of distributed values."""

    def first(value):
        if isinstance(value, tf.distribute.DistributedValues):
            return value.values[0]
        return value

    return tf.nest.map_structure(first, values)


def nothing_from_empty(values, size):
    """Tensors, or zeros where a replica had no example.

    The last batch of a data set may have fewer examples than there are
    replicas, and statistics of no examples are not a number.

    Args:
        values: List of tensors, gradients; None stays.
        size: How many examples the replica had, a tensor.
    """
    if replica_count() == 1:
        return values

    def checked(value):
        return tf.where(size > 0, value, tf.zeros_like(value))

    result = []
    for value in values:
        if isinstance(value, tf.IndexedSlices):
            value = tf.IndexedSlices(
                checked(value.values), value.indices, value.dense_shape
            )
        elif value is not None:
            value = checked(value)
        result.append(value)
    return result

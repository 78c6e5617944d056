"""What several workers do together between the steps of a training.

All of them have to call it, equally often and in the same order, in the scope
of the strategy.
"""

import functools

import numpy as np
import tensorflow as tf


def count_and_number(strategy):
    """How many workers there are, and the number of this one.

    Args:
        strategy: A `tf.distribute.Strategy`.

    Returns:
        `(count, number)`; the number of the chief is 0.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1, 0
    resolver = strategy.cluster_resolver
    jobs = resolver.cluster_spec().as_dict()
    count = len(jobs.get("chief", ())) + len(jobs.get("worker", ()))
    if resolver.task_type in (None, "chief"):
        return max(count, 1), 0
    return count, resolver.task_id + ("chief" in jobs)


def exchange(strategy, is_chief, content):
    """Tells all workers what each of them has to say.

    Args:
        strategy: A `tf.distribute.Strategy`.
        is_chief: Whether this is the chief.
        content: Bytes.

    Returns:
        List of bytes, one for each worker, the chief's first.
    """
    gather = _gathering(strategy)
    content = (b"\1" if is_chief else b"\0") + content
    sizes = gather([len(content)]).numpy()
    padded = content + b"\0" * (-len(content) % 4)
    words = gather(np.frombuffer(padded, "int32")).numpy()
    found, start = [], 0
    for size in sizes:
        length = -(-int(size) // 4)
        found.append(words[start : start + length].tobytes()[:size])
        start += length
    found.sort(key=lambda each: each[0] != 1)
    return [each[1:] for each in found]


def add_up(strategy, values):
    """Sum of vectors of float64 of all workers."""
    return _summing(strategy)(values).numpy()


def is_lost(error):
    """Whether an error says that another worker does not answer any more."""
    if not isinstance(error, tf.errors.OpError):
        return False
    text = str(error)
    if "Shape mismatch" in text:
        return False  # it answers, but something else
    return isinstance(error, tf.errors.UnavailableError) or any(
        sign in text
        for sign in ("Collective ops is aborted", "stopped sending heartbeats")
    )


def _of_one_replica(strategy):
    """A step in which one replica speaks for its worker."""
    here = len(strategy.extended.worker_devices)

    def of_replica(values, otherwise):
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        is_first = tf.get_static_value(number) % here == 0
        return values if is_first else otherwise(values)

    return of_replica


# To trace them takes 50 ms, to run them 3. One trace of each alone: workers
# have to agree on how many there are.


@functools.cache
def _gathering(strategy):
    step = _of_one_replica(strategy)

    def gather(values):
        every = strategy.run(step, args=(values, lambda x: x[:0]))
        return strategy.gather(every, axis=0)

    return tf.function(gather, input_signature=[tf.TensorSpec([None], "int32")])


@functools.cache
def _summing(strategy):
    step = _of_one_replica(strategy)

    def add_up(values):
        every = strategy.run(step, args=(values, tf.zeros_like))
        return strategy.reduce("SUM", every, axis=None)

    spec = tf.TensorSpec([None], "float64")
    return tf.function(add_up, input_signature=[spec])

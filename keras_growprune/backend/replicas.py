"""The replicas of a network, and the scope in which they are made.

Each process of a run is a worker and has one or several replicas of the
network. The processes all do the same; nothing is done by one for the others.
"""

import contextlib
import functools
import io

import numpy as np
import tensorflow as tf

from keras_growprune.backend import workers
from keras_growprune.backend.copies import create_without_entries
from keras_growprune.backend.strategies import is_of

_OF_KNOWN_SIZES = ["TPUStrategy"]


class Replicas:
    """The replicas that a network is trained on, here and on other workers.

    Args:
        strategy: A `tf.distribute.Strategy`, also the default one.

    Attributes:
        count: How many replicas there are, on all workers.
        here: How many replicas there are on this worker.
        first_here: The number of the first of them.
        workers: How many processes take part.
        is_chief: Whether this process writes files for all.
        need_known_sizes: Whether what the replicas run is compiled for sizes
            that are known beforehand, as on a TPU.
    """

    def __init__(self, strategy):
        self._strategy = strategy
        self.count = strategy.num_replicas_in_sync
        self.workers, number = workers.count_and_number(strategy)
        self.is_chief = number == 0
        self.here = self.count // self.workers
        self.first_here = number * self.here
        self.need_known_sizes = is_of(strategy, _OF_KNOWN_SIZES)

    @contextlib.contextmanager
    def scope(self):
        """Inside, variables are made for all replicas."""
        is_inside = tf.distribute.get_strategy() is self._strategy
        scope = contextlib.nullcontext if is_inside else self._strategy.scope
        creating = contextlib.nullcontext()
        if self.workers > 1:
            creating = tf.variable_creator_scope(create_without_entries)
        with scope(), creating:
            yield

    def exchange(self, content):
        """Tells all workers what each of them has to say.

        All workers have to call it, equally often.

        Args:
            content: Bytes.

        Returns:
            List of bytes, one for each worker, the chief's first.
        """
        if self.workers == 1:
            return [content]
        with self.scope():
            return workers.exchange(self._strategy, self.is_chief, content)

    def sum_over_workers(self, values):
        """Sum of what all workers have; all of them have to call it.

        Args:
            values: Array of one axis, of float64.
        """
        if self.workers == 1:
            return values
        with self.scope():
            return workers.add_up(self._strategy, values)

    def of_all(self, tell):
        """What the replicas of all workers have.

        Args:
            tell: Function of the number of a replica of this worker that
                returns a list of arrays.

        Returns:
            A list of lists of arrays.
        """
        here = [tell(index) for index in range(self.here)]
        if self.workers == 1:
            return here
        told = self.exchange(_packed(here))
        return [arrays for content in told for arrays in _unpacked(content)]


def replicas_of(model):
    """The `Replicas` of a Keras model."""
    return Replicas(model.distribute_strategy)


def in_scope(method):
    """Decorates a method: it runs in the scope of its `model`'s strategy."""

    @functools.wraps(method)
    def inner(self, *args, **kwargs):
        with replicas_of(self.model).scope():
            return method(self, *args, **kwargs)

    return inner


def present_replicas():
    """The `Replicas` of the scope that this is called in."""
    return Replicas(tf.distribute.get_strategy())


def _packed(lists):
    """Lists of arrays as bytes."""
    file = io.BytesIO()
    np.savez(
        file,
        counts=[len(arrays) for arrays in lists],
        **{
            f"{index}.{place}": array
            for index, arrays in enumerate(lists)
            for place, array in enumerate(arrays)
        },
    )
    return file.getvalue()


def _unpacked(content):
    with np.load(io.BytesIO(content)) as file:
        return [
            [file[f"{index}.{place}"] for place in range(count)]
            for index, count in enumerate(file["counts"])
        ]

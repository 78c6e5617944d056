"""Examples that were seen in training, kept on the devices."""

import math

import numpy as np
import tensorflow as tf

from keras_growprune.backend.copies import copies_of
from keras_growprune.backend.replicas import present_replicas


def on_the_device(dtype):
    """The type of a variable that holds values of another type.

    TensorFlow leaves those of `int32` in the host's memory, where a step that
    XLA compiled for a GPU cannot reach them.
    """
    return tf.int64 if dtype == tf.int32 else dtype


class Examples:
    """The latest examples that were seen, as many as may be kept.

    A ring of rows where all sizes are known; else the latest batch alone,
    since no other may have its size. Of several replicas each keeps its part
    of what it sees itself.

    Args:
        shapes: Shapes of one example of each input, None where unknown.
        dtypes: Their types.
        count: The most examples to keep.
        memory: The most bytes to keep.
        multiple: The size that all batches have, or None. Whole batches are
            kept then, and one at least.
    """

    def __init__(self, shapes, dtypes, count, memory, multiple=None):
        self.is_ring = all(None not in shape for shape in shapes)
        self._replicas = present_replicas()
        self._limits = count, memory, multiple or 1
        self._dtypes = [tf.dtypes.as_dtype(dtype) for dtype in dtypes]
        dtypes = [on_the_device(dtype) for dtype in self._dtypes]
        sizes = [math.prod(n or 1 for n in shape) for shape in shapes]
        example = sum(map(_bytes, sizes, dtypes))
        self._count = self._most(example, min, max)
        # More replicas than examples to be kept: not all of them are asked.
        together = max(self._most_together(example), 1)
        self._asked = -(-together // self._count)
        rows = self._count if self.is_ring else None
        self._rows = [
            tf.Variable(
                tf.zeros([rows or 0, *(n or 0 for n in shape)], dtype),
                shape=tf.TensorShape([rows, *shape]),
                trainable=False,
                name="examples",
            )
            for shape, dtype in zip(shapes, dtypes)
        ]
        # Of each input: nobody forbids them to have other sizes.
        self._seen = tf.Variable(
            tf.zeros(len(shapes), "int64"),
            trainable=False,
            name="examples_seen",
        )
        self._collected = []

    def _most(self, example, minimum=tf.minimum, maximum=tf.maximum):
        """How many examples of so many bytes a replica may keep."""
        multiple, replicas = self._limits[2], self._replicas.count
        share = -(-self._most_together(example, minimum, maximum) // replicas)
        return maximum(share // multiple * multiple, multiple)

    def _most_together(self, example, minimum=min, maximum=max):
        count, memory, _ = self._limits
        return minimum(memory // maximum(example, 1), count)

    def fit(self, tensors):
        """Whether tensors look like batches of what is to be kept."""
        return len(tensors) == len(self._rows) and all(
            isinstance(tensor, tf.Tensor)
            and tensor.dtype == dtype
            and rows.shape[1:].is_compatible_with(tensor.shape[1:])
            for rows, dtype, tensor in zip(self._rows, self._dtypes, tensors)
        )

    def keep(self, tensors):
        """Keeps a batch (while tracing or running a training step)."""
        sizes = [tf.shape(tensor, tf.int64)[0] for tensor in tensors]
        tensors = [tf.cast(x, v.dtype) for x, v in zip(tensors, self._rows)]
        if self.is_ring:
            self._put_into_ring(tensors, sizes)
        else:
            self._put_instead(tensors, sizes)

    def _put_into_ring(self, tensors, sizes):
        for index, (tensor, size) in enumerate(zip(tensors, sizes)):
            some = tf.minimum(size, self._count)
            first = self._seen[index] + size - some
            where = (first + tf.range(some)) % self._count
            latest = tf.IndexedSlices(tensor[size - some :], where)
            self._rows[index].scatter_update(latest)
        self._seen.assign_add(sizes)

    def _put_instead(self, tensors, sizes):
        count = [tf.size(tensor, tf.int64) for tensor in tensors]
        dtypes = [tensor.dtype for tensor in tensors]
        example = sum(map(_bytes, count, dtypes)) // tf.maximum(sizes[0], 1)
        most = self._most(example)
        before = sum(tf.size(rows, tf.int64) for rows in self._rows)

        def put():
            for rows, tensor in zip(self._rows, tensors):
                rows.assign(tensor[-most:])
            self._seen.assign(sizes)
            return True

        # What is left over at the end of an epoch, maybe a single example,
        # does not take the place of a whole batch.
        is_left_over = tf.logical_and(
            tf.reduce_all(self._seen > 0), 2 * sum(count) < before
        )
        tf.cond(is_left_over, lambda: True, put)

    def forget(self):
        for each in copies_of(self._seen):
            each.assign(tf.zeros_like(each))
        self._collected = []

    def collect(self):
        """Takes note of what all replicas keep now.

        All workers have to call it, equally often. Where there is one, it
        needs not be called.
        """
        found = self._replicas.of_all(self._kept_by)
        found = [arrays for arrays in found if arrays]
        if not found or _fit_together(found):
            found = found and [list(map(np.concatenate, zip(*found)))]
        self._collected = found

    def all(self):
        """All that is kept, the oldest first.

        Returns:
            List of lists of tensors: of a single one, unless replicas have
            seen examples of different sizes.
        """
        if self._replicas.workers == 1:
            self.collect()
        return [
            [tf.cast(x, dtype) for x, dtype in zip(arrays, self._dtypes)]
            for arrays in self._collected
        ]

    def _kept_by(self, replica):
        """What a replica of this worker keeps, the oldest first."""
        if replica + self._replicas.first_here >= self._asked:
            return []
        seen = copies_of(self._seen)[replica].numpy()
        if not seen.all() or (seen != seen[0]).any():
            return []
        found = [copies_of(rows)[replica].numpy() for rows in self._rows]
        # As all workers can be told: text of fixed lengths, no bfloat16.
        kinds = {"O": "S", "V": "float32"}
        found = [
            x.astype(kinds.get(x.dtype.kind, x.dtype), copy=False)
            for x in found
        ]
        if self.is_ring:
            index = np.arange(max(seen[0] - self._count, 0), seen[0])
            found = [rows[index % self._count] for rows in found]
        return found


def _fit_together(lists):
    """Whether arrays of several replicas can be put after one another."""
    shapes = {tuple(x.shape[1:] for x in arrays) for arrays in lists}
    return len(shapes) == 1


def _bytes(count, dtype):
    """Bytes of some entries; strings count as their shortest form."""
    return count * (dtype.size or 24)

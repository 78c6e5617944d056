"""All that the library asks of TensorFlow, apart from `keras.ops`.

A traced function serves every width of a network, if the variables under it
have axes of unknown size. XLA compiles such a function once for each shape
that it meets, and finds the compiled code again.
"""

import io
import math

import numpy as np
import tensorflow as tf


def is_tracing():
    """Whether a function is being traced, rather than run."""
    return not tf.executing_eagerly()


def traced(function, rewrite=True):
    """A function that is traced at its first call.

    Args:
        function: The function.
        rewrite: Whether Python's `if` and `while` may depend on tensors.
    """
    # One that keeps traces of its own already would not be traced anew.
    function = getattr(function, "python_function", function)
    return tf.function(function, reduce_retracing=True, autograph=rewrite)


def not_rewritten(function):
    """A function that stays as it is, where users have theirs traced.

    `tf.function` rewrites what they wrote and all that it calls.
    """
    return tf.autograph.experimental.do_not_convert(function)


def outside_of_traces():
    """Inside, all is done at once, also if a function is being traced now."""
    return tf.init_scope()


def spec(shape, dtype):
    """Describes an argument of a function that is to be traced."""
    return tf.TensorSpec(shape, dtype)


# Variables


def elastic_variable(variable, value, axes):
    """A variable like another one, whose size may change along some axes.

    Args:
        variable: The TensorFlow variable to replace.
        value: Array, its value.
        axes: Axes whose size is unknown to functions that are traced.

    Returns:
        A `tf.Variable`.
    """
    shape = [None if i in axes else n for i, n in enumerate(value.shape)]
    return tf.Variable(
        value,
        shape=tf.TensorShape(shape),
        dtype=variable.dtype,
        trainable=variable.trainable,
        name=variable.name.split(":")[0],
        aggregation=variable.aggregation,
        synchronization=variable.synchronization,
    )


def read(variable):
    """The value of a TensorFlow variable as a NumPy array.

    Many small variables are read at each change of structure: the operation
    itself takes a third of the time of `variable.numpy()`.
    """
    if isinstance(variable, tf.distribute.DistributedValues):
        return variable.numpy()
    return tf.raw_ops.ReadVariableOp(
        resource=variable.handle, dtype=variable.dtype
    ).numpy()


def assign(variable, value):
    """Gives an elastic TensorFlow variable a value of any fitting shape."""
    if isinstance(variable, tf.distribute.DistributedValues):
        variable.assign(value)
        return
    # A third of the time of `variable.assign`, as in `read`.
    tf.raw_ops.AssignVariableOp(
        resource=variable.handle,
        value=tf.convert_to_tensor(value, variable.dtype),
    )


def free(variable):
    """Frees a TensorFlow variable that was replaced.

    A function that somebody traced over it earlier then fails with an error
    about a deleted variable, instead of answering from stale weights.
    """
    if isinstance(variable, tf.distribute.DistributedValues):
        for each in variable.values:
            free(each)
        return
    handle = variable.handle
    if isinstance(handle, tf.__internal__.EagerTensor):
        tf.raw_ops.DestroyResourceOp(resource=handle, ignore_lookup_error=True)


def _on_the_device(dtype):
    """The type of a variable that holds values of another type.

    TensorFlow leaves those of `int32` in the host's memory, where a step that
    XLA compiled for a GPU cannot reach them.
    """
    return tf.int64 if dtype == tf.int32 else dtype


class _InCheckpoints(tf.train.experimental.PythonState):
    def __init__(self, write, read):
        super().__init__()
        self._write, self._read = write, read

    def serialize(self):
        file = io.BytesIO()
        np.savez(file, **self._write())
        return file.getvalue()

    def deserialize(self, string_value):
        with np.load(io.BytesIO(string_value), allow_pickle=False) as arrays:
            self._read(dict(arrays))


def in_checkpoints(write, read):
    """What a model has besides variables, for `tf.train.Checkpoint`.

    Args:
        write: Function that returns it as a dict of arrays.
        read: Function that takes over such a dict; it is called before the
            variables are restored.

    Returns:
        An object to be an attribute of the model.
    """
    return _InCheckpoints(write, read)


class IndexVector:
    """A vector of integers on the device, whose length may change."""

    def __init__(self, name):
        self.length = 1
        self._variable = tf.Variable(
            tf.zeros(1, _on_the_device(tf.int32)),
            shape=tf.TensorShape([None]),
            trainable=False,
            name=name,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    @classmethod
    def outside_of_traces(cls, name):
        """One that stays, also if a function is being traced now."""
        with tf.init_scope():
            return cls(name)

    def assign(self, values):
        self.length = len(values)
        with tf.init_scope():
            self._variable.assign(np.asarray(values, "int64"))

    def value(self):
        return tf.cast(self._variable, tf.int32)


class Examples:
    """The latest examples that were seen, as many as may be kept.

    A ring of rows where all sizes are known; else the latest batch alone,
    since no other may have its size.

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
        self._limits = count, memory, multiple or 1
        self._dtypes = [tf.dtypes.as_dtype(dtype) for dtype in dtypes]
        dtypes = [_on_the_device(dtype) for dtype in self._dtypes]
        sizes = [math.prod(n or 1 for n in shape) for shape in shapes]
        self._count = self._most(sum(map(_bytes, sizes, dtypes)), min, max)
        rows = self._count if self.is_ring else None
        self._rows = [
            tf.Variable(
                tf.zeros([rows or 0, *(n or 0 for n in shape)], dtype),
                shape=tf.TensorShape([rows, *shape]),
                trainable=False,
                name="examples",
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for shape, dtype in zip(shapes, dtypes)
        ]
        # Of each input: nobody forbids them to have other sizes.
        self._seen = tf.Variable(
            tf.zeros(len(shapes), "int64"),
            trainable=False,
            name="examples_seen",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def _most(self, example, minimum=tf.minimum, maximum=tf.maximum):
        """How many examples of so many bytes may be kept."""
        count, memory, multiple = self._limits
        most = minimum(memory // maximum(example, 1), count)
        return maximum(most // multiple * multiple, multiple)

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
        self._seen.assign(tf.zeros_like(self._seen))

    def all(self):
        """All that is kept, the oldest first, or None if there is nothing."""
        seen = self._seen.numpy()
        if not seen.all() or (seen != seen[0]).any():
            return None
        found = [tf.convert_to_tensor(rows) for rows in self._rows]
        if self.is_ring:
            index = np.arange(max(seen[0] - self._count, 0), seen[0])
            found = [tf.gather(rows, index % self._count) for rows in found]
        return [tf.cast(x, dtype) for x, dtype in zip(found, self._dtypes)]


def _bytes(count, dtype):
    """Bytes of some entries; strings count as their shortest form."""
    return count * (dtype.size or 24)


def is_tensor(value):
    """Whether a value is a tensor, neither sparse nor ragged."""
    return isinstance(value, tf.Tensor)


def batches_of(x, batch_size):
    """A data set of batches, of a data set or an array; None for others."""
    if isinstance(x, tf.data.Dataset):
        return x
    if isinstance(x, tf.Tensor) or hasattr(x, "__array__"):
        return tf.data.Dataset.from_tensor_slices(x).batch(batch_size)
    return None


# Steps


def gradients(compute, variables, factors):
    """Runs a forward pass, and the backward pass of its loss.

    Args:
        compute: Function without arguments that returns `(loss, result)`.
        variables: Variables to take the gradients of.
        factors: Tensors that `compute` uses, likewise.

    Returns:
        `(gradients by variables, gradients by factors, result)`.
    """
    with tf.GradientTape() as tape:
        tape.watch(factors)
        loss, result = compute()
    found = tape.gradient(loss, [*variables, *factors])
    return found[: len(variables)], found[len(variables) :], result


def seen_backwards(tensor, see):
    """A tensor whose gradient is shown to a function when it is taken.

    Whoever takes it: that needs no tape of one's own.

    Args:
        tensor: The tensor, or a variable.
        see: Function of the tensor and of the loss's gradient by it. It is
            called where the backward pass is traced or run.

    Returns:
        The same values.
    """

    @tf.custom_gradient
    def same(inputs):
        def backwards(gradient):
            see(inputs, gradient)
            return gradient

        return tf.identity(inputs), backwards

    return same(tf.convert_to_tensor(tensor))


def tensor_of(variable):
    """The value of a variable, to be watched (Keras returns the variable)."""
    return tf.convert_to_tensor(variable)


def rows_of(gradient):
    """`(indices, values)` of a gradient that has only some rows, or None."""
    if isinstance(gradient, tf.IndexedSlices):
        return gradient.indices, gradient.values
    return None


def either(condition, function, otherwise):
    """Does one thing or another while a function runs.

    Args:
        condition: A boolean variable.
        function, otherwise: Functions without arguments or results.
    """

    def do(what):
        what()
        return True

    condition = tf.convert_to_tensor(condition)
    tf.cond(condition, lambda: do(function), lambda: do(otherwise))


def check_while_running(is_true, message, tensors):
    """Tensors that fail with a message, where a condition does not hold."""
    check = tf.debugging.Assert(is_true, [message])
    with tf.control_dependencies([check]):
        return tf.nest.map_structure(tf.identity, tensors)


def replica_count():
    """How many replicas run the step that is being traced or run."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def is_only_replica():
    """Whether what runs now runs on one replica, and there are no others."""
    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync == 1


def sum_over_replicas(value):
    """Sum of a tensor over all replicas, where there are several."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


# Operations that Keras makes from static sizes only


def refine_shape(tensor, shape):
    """Tells what is known of a tensor's shape, while tracing."""
    if isinstance(tensor, tf.Tensor) and is_tracing():
        tensor.set_shape(tensor.shape.merge_with(shape))
    return tensor


def split(inputs, sizes, axis):
    """Parts of a tensor, of sizes that may be tensors."""
    return tf.split(inputs, tf.stack(sizes), axis=axis, num=len(sizes))


def convolve(inputs, kernel, padding, dilation_rate):
    """Dilated convolution of stride one, channels last.

    `tf.nn.convolution` asks for a known number of channels there. This is
    what it does for them.

    Args:
        inputs: Tensor, channels last.
        kernel: Tensor, positions of known size first.
        padding: `"same"` or `"valid"`.
        dilation_rate: One integer for each axis of positions.
    """
    rank = len(dilation_rate)
    operation = (tf.nn.conv1d, tf.nn.conv2d, tf.nn.conv3d)[rank - 1]
    strides = [1] * 5 if rank == 3 else 1
    return tf.compat.v1.nn.with_space_to_batch(
        inputs,
        dilation_rate,
        padding.upper(),
        lambda x, _, valid: operation(x, kernel, strides, valid),
        filter_shape=[*kernel.shape[:rank], 1, 1],
        spatial_dims=list(range(1, rank + 1)),
    )


def convolve_transposed(inputs, kernel, positions, strides, padding):
    """Transposed convolution, channels last.

    Args:
        inputs: Tensor, channels last.
        kernel: Tensor, output channels in front of input channels.
        positions: Sizes of the output, without batch and channels.
        strides: One integer for each axis of positions.
        padding: `"same"` or `"valid"`.
    """
    shape = [tf.shape(inputs)[0], *positions, tf.shape(kernel)[-2]]
    return tf.nn.conv_transpose(
        inputs, kernel, tf.stack(shape), strides, padding.upper()
    )

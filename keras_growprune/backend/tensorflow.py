"""All that the library asks of TensorFlow, apart from `keras.ops`.

A traced function serves every width of a network, if the variables under it
have axes of unknown size. XLA compiles such a function once for each shape
that it meets, and finds the compiled code again.
"""

import math

import numpy as np
import tensorflow as tf


def is_tracing():
    """Whether a function is being traced, rather than run."""
    return not tf.executing_eagerly()


def traced(function):
    """A function that is traced at its first call."""
    return tf.function(function, reduce_retracing=True)


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


class IndexVector:
    """A vector of integers on the device, whose length may change."""

    def __init__(self, name):
        self.length = 1
        self._variable = tf.Variable(
            np.zeros(1, "int32"),
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
            self._variable.assign(np.asarray(values, "int32"))

    def value(self):
        return tf.convert_to_tensor(self._variable)


class Examples:
    """The latest examples that were seen, at most a number of them.

    A ring of rows where all sizes are known; else the latest batch alone,
    since no other may have its size.

    Args:
        shapes: Shapes of one example of each input, None where unknown.
        dtypes: Their types.
        count: The most examples to keep.
    """

    def __init__(self, shapes, dtypes, count):
        self._count = count
        self._is_ring = all(None not in shape for shape in shapes)
        rows = count if self._is_ring else None
        self._rows = [
            tf.Variable(
                np.zeros([rows or 0, *(n or 0 for n in shape)], dtype),
                shape=tf.TensorShape([rows, *shape]),
                trainable=False,
                name="examples",
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for shape, dtype in zip(shapes, dtypes)
        ]
        self._seen = tf.Variable(
            0,
            trainable=False,
            dtype="int64",
            name="examples_seen",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def fit(self, tensors):
        """Whether tensors look like batches of what is to be kept."""
        return len(tensors) == len(self._rows) and all(
            isinstance(tensor, tf.Tensor)
            and rows.shape[1:].is_compatible_with(tensor.shape[1:])
            for rows, tensor in zip(self._rows, tensors)
        )

    def keep(self, tensors):
        """Keeps a batch (while tracing or running a training step)."""
        size = tf.shape(tensors[0])[0]
        if self._is_ring:
            some = tf.minimum(size, self._count)
            first = self._seen + tf.cast(size - some, "int64")
            index = (first + tf.range(tf.cast(some, "int64"))) % self._count
            for rows, tensor in zip(self._rows, tensors):
                tensor = tf.cast(tensor[size - some :], rows.dtype)
                rows.scatter_update(tf.IndexedSlices(tensor, index))
        else:
            for rows, tensor in zip(self._rows, tensors):
                rows.assign(tf.cast(tensor[-self._count :], rows.dtype))
        self._seen.assign_add(tf.cast(size, "int64"))

    def forget(self):
        self._seen.assign(0)

    def all(self):
        """All that is kept, the oldest first, or None if there is nothing."""
        seen = int(self._seen.numpy())
        if not seen:
            return None
        if not self._is_ring:
            return [tf.convert_to_tensor(rows) for rows in self._rows]
        index = np.arange(max(seen - self._count, 0), seen) % self._count
        return [tf.gather(rows, index) for rows in self._rows]


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


def call_with_unknown_sizes(call, arguments, axes):
    """Traces a call whose inputs have axes of unknown size, and runs it.

    Args:
        call: Function of some tensors.
        arguments: Arrays.
        axes: One axis for each argument, whose size is not told; or None.

    Returns:
        `(results, shapes that they have while tracing)`.

    Raises:
        NotImplementedError: If an operation was compiled for one size, in
            silence.
        Exception: Whatever `call` raises while it is traced.
    """
    specs = [
        tf.TensorSpec(
            [None if i in (0, axis) else n for i, n in enumerate(x.shape)],
            x.dtype,
        )
        for x, axis in zip(arguments, axes)
    ]
    function = tf.function(call).get_concrete_function(*specs)
    if any(
        _is_compiled(operation) for operation in function.graph.get_operations()
    ):
        raise NotImplementedError("it compiles itself for each size")
    results = function(*map(tf.convert_to_tensor, arguments))
    shapes = [
        tuple(x.shape) for x in tf.nest.flatten(function.structured_outputs)
    ]
    return tf.nest.flatten(results), shapes


def _is_compiled(operation):
    try:
        return operation.get_attr("_XlaMustCompile")
    except ValueError:
        return False


def bytes_of(shape, dtype):
    """Bytes of a tensor, a size that is unknown counted as one."""
    return math.prod(n or 1 for n in shape) * tf.dtypes.as_dtype(dtype).size

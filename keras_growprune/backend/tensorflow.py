"""All that the library asks of TensorFlow, apart from `keras.ops`.

A traced function serves every width of a network, if the variables under it
have axes of unknown size. XLA compiles such a function once for each shape
that it meets, and finds the compiled code again.
"""

import io

import numpy as np
import tensorflow as tf

from keras_growprune.backend.copies import copies_of
from keras_growprune.backend.examples import on_the_device
from keras_growprune.backend.replicas import present_replicas


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
    first = copies_of(variable)[0]
    return tf.raw_ops.ReadVariableOp(
        resource=first.handle, dtype=first.dtype
    ).numpy()


def assign(variable, value):
    """Gives an elastic TensorFlow variable a value of any fitting shape."""
    assign_copies(copies_of(variable), value)


def assign_copies(copies, value):
    """`assign`, of what `copies_of` returned."""
    # A third of the time of `variable.assign`, as in `read`.
    value = tf.convert_to_tensor(value, copies[0].dtype)
    for each in copies:
        tf.raw_ops.AssignVariableOp(resource=each.handle, value=value)


def free(variable):
    """Frees a TensorFlow variable that was replaced.

    A function that somebody traced over it earlier then fails with an error
    about a deleted variable, instead of answering from stale weights.
    """
    for each in copies_of(variable):
        handle = each.handle
        if isinstance(handle, tf.__internal__.EagerTensor):
            tf.raw_ops.DestroyResourceOp(
                resource=handle, ignore_lookup_error=True
            )


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
    """A vector of integers on the device, whose length may change.

    Where sizes must be known, it is a constant of each trace.
    """

    def __init__(self, name):
        self.length = 1
        self._known = None
        if present_replicas().need_known_sizes:
            self._known = np.zeros(1, "int32")
            return
        self._variable = tf.Variable(
            tf.zeros(1, on_the_device(tf.int32)),
            shape=tf.TensorShape([None]),
            trainable=False,
            name=name,
        )

    @classmethod
    def outside_of_traces(cls, name):
        """One that stays, also if a function is being traced now."""
        with tf.init_scope():
            return cls(name)

    def assign(self, values):
        self.length = len(values)
        if self._known is not None:
            self._known = np.asarray(values, "int32")
            return
        with tf.init_scope():
            assign(self._variable, np.asarray(values, "int64"))

    def value(self):
        if self._known is not None:
            return tf.constant(self._known)
        return tf.cast(self._variable, tf.int32)


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

"""Variables that change their shape in place."""

import tensorflow as tf


def read_variable(variable):
    """The value of a variable as a NumPy array.

    Many small variables are read at each restructuring: the operation itself
    takes a third of the time of `variable.numpy()`.
    """
    if isinstance(variable.value, tf.distribute.DistributedValues):
        return variable.numpy()
    return tf.raw_ops.ReadVariableOp(
        resource=variable.value.handle, dtype=variable.value.dtype
    ).numpy()


def resize_variable(variable, value):
    """Gives a variable a value of another shape; the object stays the same.

    To be called inside `reindexed`.
    """
    variable._initialize(value)
    variable._shape = tuple(value.shape)
    variable._ndim = len(value.shape)


def raw_resource(variable):
    """The TensorFlow variable behind a Keras variable."""
    return variable.value


def forget_resource(resource):
    """Frees a TensorFlow variable that was replaced.

    A function that somebody traced over it earlier then fails with an error
    about a deleted variable, instead of answering from stale weights.
    """
    handle = getattr(resource, "handle", None)
    if isinstance(handle, tf.__internal__.EagerTensor):
        tf.raw_ops.DestroyResourceOp(resource=handle, ignore_lookup_error=True)

"""Calls that are traced, to see what they do."""

import tensorflow as tf


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


def value_by_shape(call, shape, dtype):
    """What a call returns, if it looks at nothing but its input's shape.

    Args:
        call: Function of a tensor.
        shape, dtype: Of the tensor, with a batch of unknown size.

    Returns:
        An array for a batch of one, or None.
    """
    spec = tf.TensorSpec([None, *shape[1:]], dtype)
    function = tf.function(call).get_concrete_function(spec)
    seen, stack = set(), [each.op for each in function.outputs]
    while stack:
        operation = stack.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        if operation.type == "Placeholder" or operation.op_def.is_stateful:
            return None  # its input, or a variable, or a random number
        if operation.type not in _ABOUT_SHAPES:
            stack.extend(each.op for each in operation.inputs)
    return function(tf.zeros([1, *shape[1:]], dtype)).numpy()


_ABOUT_SHAPES = ("Rank", "Shape", "ShapeN", "Size")


def _is_compiled(operation):
    try:
        return operation.get_attr("_XlaMustCompile")
    except ValueError:
        return False

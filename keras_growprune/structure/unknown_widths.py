"""What layers compute where the widths of their inputs are not told.

One trace serves every width of a network, if no layer in it reads a width that
is known while tracing. Most layers of Keras do not. For the others there is
another form of their `call` here, or a reason why there is none; then a
network is traced anew for each structure.

Each function takes a layer and returns None (its own `call` will do), a
function of the layer and the arguments of its `call`, a dict of attributes with
functions of their values, or a reason.
"""

import keras
from keras import ops

from keras_growprune import backend
from keras_growprune.structure.following import norm_axes

# For layers of users: call them and see.
TRY = "try"


def convolution(layer):
    if not _is_dilated(layer):
        return None
    if _is_channels_first(layer) or layer.groups > 1:
        return "it is dilated, and has its channels first or works in parts"
    if layer.padding == "causal":
        return "it is dilated and causal"
    return _dilated


def _dilated(layer, inputs):
    outputs = backend.convolve(
        inputs,
        ops.convert_to_tensor(layer.kernel),
        layer.padding,
        layer.dilation_rate,
    )
    return _with_bias_and_activation(layer, outputs)


def transposed_convolution(layer):
    if _is_channels_first(layer) or _is_dilated(layer):
        return "it is transposed, and dilated or has its channels first"
    return _transposed


def _transposed(layer, inputs):
    shape = (*inputs.shape[:-1], layer.kernel.shape[-1])
    if None in shape[1:-1]:
        raise NotImplementedError(
            f"Layer `{layer.name}` cannot tell the size of its output."
        )
    outputs = backend.convolve_transposed(
        inputs,
        ops.convert_to_tensor(layer.kernel),
        layer.compute_output_shape(shape)[1:-1],
        layer.strides,
        layer.padding,
    )
    return _with_bias_and_activation(layer, outputs)


def depthwise_convolution(layer):
    return _depthwise if layer.use_bias or _needs_padding(layer) else None


def _depthwise(layer, inputs):
    return _with_bias_and_activation(
        layer, _convolve(ops.depthwise_conv, layer, inputs, layer.kernel)
    )


def separable_convolution(layer):
    return _separable if _needs_padding(layer) else None


def _separable(layer, inputs):
    kernels = layer.depthwise_kernel, layer.pointwise_kernel
    return _with_bias_and_activation(
        layer, _convolve(ops.separable_conv, layer, inputs, *kernels)
    )


def _convolve(operation, layer, inputs, *kernels):
    padding = layer.padding
    if _needs_padding(layer):
        inputs, padding = _padded(layer, inputs), "valid"
    return operation(
        inputs,
        *kernels,
        strides=layer.strides,
        padding=padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )


def _needs_padding(layer):
    """Whether TensorFlow pads only where it knows a kernel's whole shape."""
    return _is_dilated(layer) and layer.padding == "same"


def _padded(layer, inputs):
    """Zeros around the positions, as `padding="same"` without strides."""
    room = [
        (size - 1) * rate
        for size, rate in zip(layer.kernel_size, layer.dilation_rate)
    ]
    room = [(each // 2, each - each // 2) for each in room]
    batch, channels = [(0, 0)], [(0, 0)]
    if _is_channels_first(layer):
        return ops.pad(inputs, [*batch, *channels, *room])
    return ops.pad(inputs, [*batch, *room, *channels])


def batch_normalization(layer):
    rank = layer.input_spec.ndim
    if layer.axis % rank != rank - 1:
        return "it normalizes along an axis that is not the last"
    # Counted from the front, Keras reads the size of its weights.
    return {"axis": lambda axis: -1}


def layer_normalization(layer):
    if getattr(layer, "rms_scaling", False):
        return "it scales by the variance"
    return _layer_normalization


def _layer_normalization(layer, inputs):
    axis = tuple(norm_axes(layer, len(inputs.shape)))
    dtype = keras.backend.result_type(inputs.dtype, "float32")
    values = ops.cast(inputs, dtype)
    mean = ops.mean(values, axis=axis, keepdims=True)
    centered = ops.subtract(values, mean)
    variance = ops.mean(ops.square(centered), axis=axis, keepdims=True)
    scale = ops.rsqrt(ops.add(variance, layer.epsilon))
    return _with_gamma_and_beta(layer, ops.multiply(centered, scale), axis)


def group_normalization(layer):
    return _group_normalization


def _group_normalization(layer, inputs):
    dtype = keras.backend.result_type(inputs.dtype, "float32")
    rank = len(inputs.shape)
    axis = layer.axis % rank
    sizes = list(ops.shape(inputs))
    parts = [layer.groups, ops.floor_divide(sizes[axis], layer.groups)]
    values = ops.reshape(
        ops.cast(inputs, dtype), [*sizes[:axis], *parts, *sizes[axis + 1 :]]
    )
    others = [i for i in range(1, rank + 1) if i != axis]
    mean, variance = ops.moments(values, axes=others, keepdims=True)
    scale = ops.rsqrt(ops.add(variance, layer.epsilon))
    outputs = ops.reshape(
        ops.multiply(ops.subtract(values, mean), scale), sizes
    )
    return _with_gamma_and_beta(layer, outputs, (axis,))


def reshape(layer):
    return _reshape


def _reshape(layer, inputs):
    """Both `keras.layers.Reshape` and the operation.

    Their target may hold the present number of channels, a tensor.
    """
    if hasattr(layer, "newshape"):
        return ops.reshape(inputs, layer.newshape)
    return ops.reshape(inputs, (ops.shape(inputs)[0], *layer.target_shape))


def flatten(layer):
    return _flatten


def _flatten(layer, inputs):
    """Before Keras 3.9 it takes two axes of unknown size for one."""
    if _is_channels_first(layer) and len(inputs.shape) > 2:
        inputs = ops.moveaxis(inputs, 1, -1)
    return ops.reshape(inputs, (ops.shape(inputs)[0], -1))


def split(layer):
    return _split


def _split(layer, inputs):
    points = layer.indices_or_sections
    if isinstance(points, int):
        return ops.split(inputs, points, axis=layer.axis)
    total = ops.shape(inputs)[layer.axis]
    ends = [0, *points, total]
    sizes = [after - before for before, after in zip(ends, ends[1:])]
    return backend.split(inputs, sizes, layer.axis)


def _with_bias_and_activation(layer, outputs):
    if layer.use_bias:
        axis = 1 if _is_channels_first(layer) else -1
        bias = _along(layer.bias, (axis,), len(outputs.shape))
        outputs = ops.add(outputs, ops.cast(bias, outputs.dtype))
    return outputs if layer.activation is None else layer.activation(outputs)


def _with_gamma_and_beta(layer, outputs, axes):
    rank = len(outputs.shape)
    for name, combine in (("gamma", ops.multiply), ("beta", ops.add)):
        weight = getattr(layer, name)
        if weight is not None:
            weight = ops.cast(weight, outputs.dtype)
            outputs = combine(outputs, _along(weight, axes, rank))
    return ops.cast(outputs, layer.compute_dtype)


def _along(values, axes, rank):
    """Values, shaped to go along some axes of a tensor."""
    shape = [1] * rank
    for axis, size in zip(axes, values.shape):
        shape[axis] = -1 if size is None else size
    return ops.reshape(values, tuple(shape))


def _is_dilated(layer):
    return any(rate != 1 for rate in layer.dilation_rate)


def _is_channels_first(layer):
    return getattr(layer, "data_format", None) == "channels_first"

"""Layers of users with weights for each channel, learned by trying them."""

import keras
import numpy as np
from keras import ops

from keras_growprune import keras_internals
from keras_growprune.structure.axes import LayerAxes
from keras_growprune.structure.cloning import clone_layer
from keras_growprune.structure.unknown_widths import TRY

_RANDOM_CHOICES = 2  # of the channels that stay


def learn_axes(call, axis):
    """Finds out whether a layer works on each channel alone.

    It does if, with some of the channels and the slices of its weights for
    them, it returns these channels of what it returns with all of them: an
    embedding of positions that adds itself to its input, say. That is tried
    with random inputs and weights, which the layer itself does not notice.

    Args:
        call: A call of a layer with weights that nobody knows.
        axis: The channel axis of its input.

    Returns:
        `LayerAxes`, or None.
    """
    layer, shape = call.layer, tuple(call.inputs[0].shape)
    is_layer = isinstance(layer, keras.layers.Layer)
    if not is_layer or keras_internals.parts(layer) or not layer.weights:
        return None
    if len(call.inputs) > 1 or tuple(call.outputs[0].shape) != shape:
        return None
    weights = {
        name: tuple(value.shape)
        for name, value in vars(layer).items()
        if isinstance(value, keras.Variable)
    }
    if len(weights) < len(layer.variables):
        return None  # it holds some in another way
    size = shape[axis]
    labels = {name: _labels(each, size) for name, each in weights.items()}
    try:
        width = _width_attribute(layer, shape, axis, labels)
        _check(call, axis, weights, labels, width)
    except Exception:  # whatever it does: it stays an unknown layer
        return None
    # What the layer drew its weights from is forgotten: each newcomer has the
    # values that it drew.
    initializers = {
        name: keras.initializers.Constant(getattr(layer, name).numpy())
        for name in labels
        if not hasattr(layer, f"{name}_initializer")
    }
    return LayerAxes(
        weights=labels,
        channels="follow",
        width_attribute=width,
        initializers=initializers,
        unknown_widths=TRY,
    )


def _labels(shape, size):
    """The last axis that is as long as there are channels follows them."""
    places = [axis for axis, each in enumerate(shape) if each == size]
    labels = [None] * len(shape)
    if places:
        labels[places[-1]] = "out"
    return tuple(labels)


def _width_attribute(layer, shape, axis, labels):
    """The argument of its constructor that is the number of channels.

    Returns:
        Its name; None if a copy is as wide as its input by itself.

    Raises:
        ValueError: If no copy of the layer has fewer channels.
    """
    size, fewer = shape[axis], shape[axis] - 1
    narrow = (*shape[:axis], fewer, *shape[axis + 1 :])
    expected = [
        tuple(
            fewer if label else each
            for each, label in zip(getattr(layer, name).shape, labels[name])
        )
        for name in labels
    ]
    names = [
        name
        for name, value in layer.get_config().items()
        if type(value) is int and value == size == getattr(layer, name, None)
    ]
    for name in (None, *names):
        twin = clone_layer(layer, **({} if name is None else {name: fewer}))
        twin.build(narrow)
        found = [tuple(getattr(twin, weight).shape) for weight in labels]
        if found == expected:
            return name
    raise ValueError("its weights do not follow its input")


def _check(call, axis, weights, labels, width):
    """Raises a ValueError if the layer does not work on each channel alone."""
    layer, shape = call.layer, tuple(call.inputs[0].shape)
    random = np.random.default_rng(0)
    inputs = random.normal(size=(2, *(n or 3 for n in shape[1:])))
    values = {name: random.normal(size=each) for name, each in weights.items()}
    modes = [{}]
    if keras_internals.takes_training(layer):
        modes = [{"training": True}, {"training": False}]

    def outputs(entries, mode):
        """What the layer returns with some of its channels."""
        here = {name: _part(v, labels[name], entries) for name, v in values}
        if width is not None:
            here[width] = len(entries)
        # A copy past Keras, which would save and load it, and track tensors.
        twin = object.__new__(type(layer))
        vars(twin).update({**vars(layer), **here})
        tensor = _tensor(np.take(inputs, entries, axis=axis))
        args, kwargs = call.node.arguments.fill_in({id(source): tensor})
        return np.array(type(layer).call(twin, *args, **{**kwargs, **mode}))

    source, values = call.inputs[0], values.items()
    everything = np.arange(shape[axis])
    for mode in modes:
        expected = outputs(everything, mode)
        for _ in range(_RANDOM_CHOICES):
            count = int(random.integers(1, len(everything)))
            some = np.sort(random.permutation(everything)[:count])
            part = np.take(expected, some, axis=axis)
            found = outputs(some, mode)
            if found.shape != part.shape or not np.allclose(
                found, part, rtol=1e-4, atol=1e-5
            ):
                raise ValueError("its channels depend on each other")


def _part(value, labels, entries):
    for axis, label in enumerate(labels):
        if label is not None:
            value = np.take(value, entries, axis=axis)
    return _tensor(value)


def _tensor(value):
    return ops.convert_to_tensor(value.astype("float32"))

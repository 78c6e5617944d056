"""Ways to run a network once, so that it can be timed."""

import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_growprune import keras_internals
from keras_growprune.devices.validation import check_batch_size


def _pack(model, values):
    """A flat list of inputs, as the model takes them."""
    structure, _ = keras_internals.graph_structure(model)
    return keras.tree.pack_sequence_as(structure, values)


def _examples(tensors, batch_size):
    random = np.random.default_rng(0)
    examples = []
    for tensor in tensors:
        shape = (batch_size, *tensor.shape[1:])
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        examples.append(random.random(shape).astype(dtype))
    return examples


def _inference(model, batch_size):
    inputs = [tf.constant(x) for x in _examples(model.inputs, batch_size)]
    inputs = _pack(model, inputs)
    function = tf.function(lambda: model(inputs, training=False))

    def run():  # until the numbers are there: TensorFlow may return earlier
        keras.tree.map_structure(np.array, function())

    return run


def _training(model, batch_size):
    model.compile(keras.optimizers.SGD(0.0, momentum=0.9), "mse")
    model.optimizer.build(model.trainable_variables)
    inputs = _pack(model, _examples(model.inputs, batch_size))
    targets = [0 * x for x in _examples(model.outputs, batch_size)]
    data = tf.data.Dataset.from_tensors((inputs, tuple(targets)))
    iterator = iter(data.repeat())
    model.make_train_function()
    return lambda: float(model.train_function(iterator)["loss"])


def _in_float32(model):
    """The network itself, or a copy of one in mixed precision.

    LiteRT has no kernels for the mixture; its converter fails.
    """

    def is_half(layer):  # operations have no type of their own
        dtype = getattr(layer, "compute_dtype", None)
        return dtype in ("float16", "bfloat16")

    def clone(layer):
        if not isinstance(layer, keras.layers.Layer):
            return keras_internals.clone_operation(layer)
        config = layer.get_config()
        if is_half(layer):
            config["dtype"] = "float32"
        return type(layer).from_config(config)

    if not any(map(is_half, model.layers)):
        return model

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def litert_file(model, batch_size=1):
    """Converts a network to LiteRT, in float32.

    Args:
        model: A functional `keras.Model` with inputs of fixed size.
        batch_size: Examples of one call.

    Returns:
        The content of a `.tflite` file, as bytes.

    Raises:
        ValueError: If LiteRT lacks one of its operations.
    """
    model = _in_float32(model)
    signature = [
        tf.TensorSpec((batch_size, *x.shape[1:]), x.dtype) for x in model.inputs
    ]
    # As constants: in the loop of a recurrent layer LiteRT finds no variables.
    weights = [
        [tf.constant(keras.ops.convert_to_numpy(weight)) for weight in part]
        for part in (model.trainable_variables, model.non_trainable_variables)
    ]

    def call(*inputs):
        inputs = _pack(model, inputs)
        return model.stateless_call(*weights, inputs, training=False)[0]

    # From the function itself: `from_keras_model` prints what it saves.
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [tf.function(call, signature).get_concrete_function()]
    )
    try:
        return converter.convert()
    except Exception as error:  # of several types, with pages of text
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"LiteRT cannot convert network `{model.name}`: {reason} (see "
            "above for its operations). Expected: operations that LiteRT has."
        ) from error


def _litert(model, batch_size):
    interpreter = _interpreter(litert_file(model, batch_size))
    interpreter.allocate_tensors()
    examples = _examples(model.inputs, batch_size)
    for details, x in zip(interpreter.get_input_details(), examples):
        interpreter.set_tensor(details["index"], x)
    return interpreter.invoke


def _interpreter(content):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # the one that TensorFlow still carries
        Interpreter = tf.lite.Interpreter
    with warnings.catch_warnings():  # which says so each time
        warnings.simplefilter("ignore")
        return Interpreter(model_content=content, num_threads=1)


_RUNTIMES = {
    "tensorflow": _inference,
    "tensorflow-train": _training,
    "litert": _litert,
}


def prepare(model, runtime, batch_size):
    """Makes a network ready to run.

    Args:
        model: A functional `keras.Model`. For `"tensorflow-train"` it is
            compiled.
        runtime: `"tensorflow"`, `"tensorflow-train"` or `"litert"`.
        batch_size: Examples of one call.

    Returns:
        A function without arguments that runs it once.

    Raises:
        ValueError: If the runtime is unknown or cannot run the network, or
            the network has another batch size.
    """
    if not isinstance(runtime, str) or runtime not in _RUNTIMES:
        raise ValueError(
            f"Argument `runtime` must be one of {sorted(_RUNTIMES)}. "
            f"Received: runtime={runtime!r}"
        )
    check_batch_size(model, batch_size)
    return _RUNTIMES[runtime](model, batch_size)

"""Ways to run a network once, so that it can be timed."""

import keras
import numpy as np
import tensorflow as tf

from keras_growprune import keras_internals
from keras_growprune.backend import quiet_logs
from keras_growprune.devices.layer_work import graph_of
from keras_growprune.devices.validation import check_sizes
from keras_growprune.export import in_float32
from keras_growprune.runtimes import open_exported
from keras_growprune.runtimes.error_text import first_line
from keras_growprune.runtimes.litert_file import interpreter_of


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


def prepare_file(path, batch_size):
    """Makes an exported file ready to run.

    Args:
        path: A `.tflite` or `.onnx` file, or the folder of a SavedModel.
        batch_size: Examples of one call.

    Returns:
        A function without arguments that runs it once.

    Raises:
        ValueError: If it has inputs of unknown size, or of another batch
            size.
    """
    file = open_exported(path)
    random = np.random.default_rng(0)
    inputs = {}
    for name, (shape, dtype) in file.inputs.items():
        size = shape[0] if shape else None
        if None in shape[1:] or size not in (None, batch_size):
            raise ValueError(
                f"Input `{name}` of file `{path}` must have fixed sizes, and "
                f"take batches of {batch_size}. Received: shape {shape}"
            )
        shape = (batch_size, *shape[1:])
        inputs[name] = random.random(shape).astype(dtype)
    return file.prepare(inputs)


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


@quiet_logs()
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
    model = in_float32(model)
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
        raise ValueError(
            f"LiteRT cannot convert network `{model.name}`: "
            f"{first_line(error)} (see "
            "above for its operations). Expected: operations that LiteRT has."
        ) from error


def _litert(model, batch_size):
    interpreter = interpreter_of(content=litert_file(model, batch_size))
    examples = _examples(model.inputs, batch_size)
    for details, x in zip(interpreter.get_input_details(), examples):
        interpreter.set_tensor(details["index"], x)
    return interpreter.invoke


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
    model = graph_of(model)
    check_sizes(model, batch_size)
    return _RUNTIMES[runtime](model, batch_size)

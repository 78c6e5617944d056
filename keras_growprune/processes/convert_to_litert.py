"""Converts a SavedModel to LiteRT."""

import numpy as np

from keras_growprune.runtimes.error_text import first_line


def main(request, arrays):
    """Makes a `.tflite` file.

    Args:
        request: Dict with `saved_model`, its path; `batch_size`;
            `quantization`, None, `"dynamic_range"` or `"int8"`; `integer_io`,
            whether inputs and outputs of a full-integer file are integers as
            well.
        arrays: Inputs to calibrate on, by name, batches of all samples.

    Returns:
        A dict with `content`, the bytes of the file.

    Raises:
        ValueError: If LiteRT lacks one of the network's operations.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(
        request["saved_model"], signature_keys=["serving_default"]
    )
    quantization = request["quantization"]
    if quantization is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "int8":
        size = request["batch_size"]
        count = len(next(iter(arrays.values())))

        def samples():
            for start in range(0, count, size):
                # The last batch is filled up.
                places = np.minimum(np.arange(start, start + size), count - 1)
                yield {k: x[places] for k, x in arrays.items()}

        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        ]
        if request["integer_io"]:
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8
    try:
        content = converter.convert()
    except Exception as error:  # of several types, with pages of text
        raise ValueError(first_line(error)) from error
    return {"content": np.frombuffer(content, "uint8")}

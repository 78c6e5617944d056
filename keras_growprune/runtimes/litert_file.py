"""LiteRT files."""

import warnings

import numpy as np

from keras_growprune.runtimes.exported_file import ExportedFile


class LiteRTFile(ExportedFile):
    """A `.tflite` file, run by LiteRT's interpreter on one thread.

    Args:
        path: Path of the file.

    Raises:
        ValueError: If the interpreter does not take the file.
    """

    def __init__(self, path):
        self._path = path
        self._interpreter = interpreter_of(path)
        self._signature = None
        signatures = self._interpreter.get_signature_list()
        if len(signatures) == 1:
            self._signature = self._interpreter.get_signature_runner(
                *signatures
            )
            self._inputs = self._signature.get_input_details()
            self._outputs = self._signature.get_output_details()
        else:
            self._inputs, self._outputs = (
                {each["name"]: each for each in details}
                for details in (
                    self._interpreter.get_input_details(),
                    self._interpreter.get_output_details(),
                )
            )
        self.inputs, self.outputs = (
            {
                name: (_shape(each), np.dtype(each["dtype"]).name)
                for name, each in details.items()
            }
            for details in (self._inputs, self._outputs)
        )
        self.is_quantized = any(
            each["quantization_parameters"]["scales"].size
            for each in self._interpreter.get_tensor_details()
        )

    def _run(self, inputs):
        if self._signature is not None:
            outputs = self._signature(
                **{k: _quantized(inputs[k], v) for k, v in self._inputs.items()}
            )
        else:
            self._set(self._interpreter, inputs)
            self._interpreter.invoke()
            outputs = {
                name: self._interpreter.get_tensor(details["index"])
                for name, details in self._outputs.items()
            }
        return {
            name: _dequantized(value, self._outputs[name])
            for name, value in outputs.items()
        }

    def prepare(self, inputs):
        # One of its own: with a signature it cannot be given other sizes.
        interpreter = interpreter_of(self._path)
        self._set(interpreter, inputs)
        return interpreter.invoke

    def _set(self, interpreter, inputs):
        for name, details in self._inputs.items():
            shape = np.shape(inputs[name])
            if tuple(details["shape"]) != shape:
                interpreter.resize_tensor_input(details["index"], shape)
        interpreter.allocate_tensors()
        for name, details in self._inputs.items():
            interpreter.set_tensor(
                details["index"], _quantized(inputs[name], details)
            )


def interpreter_of(path=None, content=None):
    """LiteRT's interpreter, ready to run.

    Args:
        path: Path of a `.tflite` file, or None.
        content: Its bytes, or None.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # the one that TensorFlow still carries
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    path = None if path is None else str(path)
    with warnings.catch_warnings():  # which says so each time
        warnings.simplefilter("ignore")
        interpreter = Interpreter(
            model_path=path, model_content=content, num_threads=1
        )
    interpreter.allocate_tensors()
    return interpreter


def _shape(details):
    shape = details.get("shape_signature")
    if shape is None or not len(shape):
        shape = details["shape"]
    return tuple(None if size < 0 else int(size) for size in shape)


def _quantized(value, details):
    dtype = np.dtype(details["dtype"])
    value = np.asarray(value)
    scale, zero = details["quantization"]
    if scale and dtype.kind in "iu" and value.dtype.kind == "f":
        limits = np.iinfo(dtype)
        value = np.clip(np.round(value / scale) + zero, limits.min, limits.max)
    return value.astype(dtype)


def _dequantized(value, details):
    scale, zero = details["quantization"]
    if scale and value.dtype.kind in "iu":
        return ((value.astype("float32") - zero) * scale).astype("float32")
    return value

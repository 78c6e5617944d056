"""ONNX files."""

import numpy as np

from keras_growprune.runtimes.exported_file import ExportedFile


class ONNXFile(ExportedFile):
    """An `.onnx` file, run by ONNX Runtime on one thread of the processor.

    Args:
        path: Path of the file.
    """

    def __init__(self, path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.inputs, self.outputs = (
            {each.name: (_shape(each), _dtype(each.type)) for each in ends}
            for ends in (
                self._session.get_inputs(),
                self._session.get_outputs(),
            )
        )

    def _run(self, inputs):
        inputs = {
            name: np.asarray(inputs[name], dtype)
            for name, (_, dtype) in self.inputs.items()
        }
        return dict(zip(self.outputs, self._session.run(None, inputs)))


def _shape(end):
    return tuple(s if isinstance(s, int) else None for s in end.shape)


def _dtype(name):
    """NumPy's name for one like `tensor(float)`."""
    name = name.removeprefix("tensor(").removesuffix(")")
    names = {"float": "float32", "double": "float64"}
    return names.get(name, name)

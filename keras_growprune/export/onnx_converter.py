"""From a SavedModel to ONNX, in a process of its own."""

import pathlib
import tempfile

from keras_growprune.export.prepared import in_float32
from keras_growprune.export.saved_model import write_saved_model
from keras_growprune.processes.child import how_it_ended
from keras_growprune.processes.child import run_python
from keras_growprune.runtimes.error_text import last_line


def onnx_content(network, batch_size, opset):
    """Makes the content of an `.onnx` file, by `tf2onnx`.

    Args:
        network: A plain functional `keras.Model`.
        batch_size: Examples of one call, or None for any.
        opset: Version of ONNX's operations, or None for tf2onnx's choice.

    Returns:
        Its bytes.

    Raises:
        ValueError: If the converter does not take the network.
    """
    network = in_float32(network)
    with tempfile.TemporaryDirectory() as folder:
        saved = pathlib.Path(folder) / "saved_model"
        path = pathlib.Path(folder) / "network.onnx"
        write_saved_model(network, saved, batch_size)
        arguments = ["-m", "tf2onnx.convert", "--saved-model", str(saved)]
        arguments += ["--tag", "serve", "--signature_def", "serving_default"]
        arguments += ["--output", str(path)]
        if opset is not None:
            arguments += ["--opset", str(opset)]
        done = run_python(*arguments)
        if done.returncode == 0 and path.exists():
            return path.read_bytes()
    reason = last_line(done.stdout) if done.returncode > 0 else ""
    raise ValueError(
        f"tf2onnx does not take network `{network.name}`: "
        f"{reason or how_it_ended(done.returncode)}. Expected: operations "
        "that ONNX has."
    )

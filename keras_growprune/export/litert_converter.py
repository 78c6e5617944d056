"""From a SavedModel to LiteRT, in a process of its own."""

import pathlib
import tempfile

from keras_growprune.export.names import input_names
from keras_growprune.export.prepared import in_float32
from keras_growprune.export.prepared import is_recurrent
from keras_growprune.export.prepared import unrolled
from keras_growprune.export.saved_model import write_saved_model
from keras_growprune.processes import ChildError
from keras_growprune.processes import run_in_child

QUANTIZATIONS = (None, "dynamic_range", "int8")


def litert_content(network, batch_size, quantization, data, integer_io):
    """Makes the content of a `.tflite` file.

    Args:
        network: A plain functional `keras.Model`.
        batch_size: Examples of one call, or None for any.
        quantization: One of `QUANTIZATIONS`.
        data: Inputs to calibrate on, as `samples.given_samples` returns them;
            with `"int8"` alone.
        integer_io: Whether inputs and outputs are integers as well.

    Returns:
        Its bytes.

    Raises:
        ValueError: If the converter does not take the network.
    """
    network = in_float32(network)
    if is_recurrent(network):
        if batch_size is None:
            raise ValueError(
                f"Model `{network.name}` is recurrent, and LiteRT runs "
                "recurrent layers with a fixed batch size only. Received: "
                "batch_size=None. Give a number, such as batch_size=1."
            )
        if quantization == "int8":
            network = unrolled(network)
    arrays = {}
    if data is not None:
        arrays = dict(zip(input_names(network), data))
    with tempfile.TemporaryDirectory() as folder:
        saved = pathlib.Path(folder) / "saved_model"
        write_saved_model(network, saved, batch_size)
        return convert_to_litert(
            network.name, saved, batch_size, quantization, arrays, integer_io
        )


def convert_to_litert(
    name, saved_model, batch_size, quantization, arrays, integer_io=False
):
    """Converts a SavedModel.

    Args:
        name: Name of the network, for errors.
        saved_model: The folder.
        batch_size, quantization, integer_io: As in `litert_content`.
        arrays: Inputs to calibrate on, by name.

    Returns, raises: As `litert_content`.
    """
    request = {
        "saved_model": str(saved_model),
        "batch_size": batch_size or 1,
        "quantization": quantization,
        "integer_io": integer_io,
    }
    try:
        result = run_in_child("convert_to_litert", request, arrays)
    except ChildError as error:
        advice = "Expected: operations that LiteRT has."
        if quantization is not None:
            advice += " Does it convert with quantization=None?"
        raise ValueError(
            f"LiteRT's converter does not take network `{name}` with "
            f"quantization={quantization!r}: {error}. {advice}"
        ) from error
    return result["content"].tobytes()

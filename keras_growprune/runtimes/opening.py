"""Which runtime a file is for."""

import pathlib
import sys

from keras_growprune.runtimes.error_text import first_line

ENDINGS = {".tflite": "litert", ".onnx": "onnx"}
# What brings the runtime of each format.
_PACKAGES = {
    "litert": "ai-edge-litert",
    "onnx": "onnxruntime",
    "tf_saved_model": "tensorflow",
}


def format_of(path):
    """The format of an exported file, by its ending.

    Args:
        path: Path of a `.tflite` or `.onnx` file, or the folder of a
            SavedModel.

    Returns:
        `"litert"`, `"onnx"` or `"tf_saved_model"`.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: If it is none of these.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no exported file at `{path}`.")
    if (path / "saved_model.pb").is_file():
        return "tf_saved_model"
    if path.is_file() and path.suffix in ENDINGS:
        return ENDINGS[path.suffix]
    raise ValueError(
        "An exported file must be a `.tflite` or `.onnx` file, or the folder "
        f"of a SavedModel. Received: `{path}`"
    )


def open_exported(path):
    """Opens an exported file in its own runtime.

    Args:
        path: A `.tflite` or `.onnx` file, or the folder of a SavedModel.

    Returns:
        An `ExportedFile`. Its `inputs` and `outputs` tell names, shapes and
        types, its `run` takes and returns dicts of arrays by these names.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: If it is no exported file, or its runtime does not take
            it.
        ImportError: If its runtime is not installed.

    Example:

    ```python
    model.export("serving/1", verify=False)
    file = kgp.export.open_exported("serving/1")
    (name,) = file.inputs
    (scores,) = file.run({name: images[:8]}).values()
    scores.shape  # (8, 10)
    ```
    """
    file_format = format_of(path)
    if file_format == "litert":
        from keras_growprune.runtimes.litert_file import LiteRTFile as File
    elif file_format == "onnx":
        from keras_growprune.runtimes.onnx_file import ONNXFile as File
    else:
        from keras_growprune.runtimes.saved_model_file import (
            SavedModelFile as File,
        )
    try:
        return File(path)
    except OSError:
        raise
    except ImportError as error:
        raise ImportError(
            f"To run `{path}`, its runtime is needed, which is not installed: "
            f"{error}. Run `{sys.executable} -m pip install "
            f"{_PACKAGES[file_format]}`."
        ) from error
    except Exception as error:  # of each runtime's own types
        raise ValueError(
            f"The runtime of `{path}` does not take it: {first_line(error)}"
        ) from error


def size_on_disk(path):
    """Bytes of a file, or of all files in a folder.

    Args:
        path: Path of a file or a folder.

    Returns:
        An integer, 0 where nothing is there.

    Example:

    ```python
    model.save_weights("small.weights.h5")
    kgp.export.size_on_disk("small.weights.h5") > 1000  # True
    ```
    """
    path = pathlib.Path(path)
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(each.stat().st_size for each in files if each.is_file())

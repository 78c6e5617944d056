"""Which format a file is to have, by its ending or by what was asked for."""

import os

# Endings of files; a SavedModel is a folder.
FORMATS = {"tf_saved_model": "", "litert": ".tflite", "onnx": ".onnx"}
# Other names that people know formats by.
_ALSO = {"tflite": "litert", "saved_model": "tf_saved_model"}
_KERAS_FILES = (".keras", ".h5")


def chosen_format(path, given=None):
    """Returns the format to write, and refuses what disagrees.

    Args:
        path: Where to write.
        given: Name of a format. Defaults to `None`: what the ending of `path`
            tells.

    Returns:
        A name of `FORMATS`.

    Raises:
        ValueError: If there is no such format, or the path is no place for
            its files.
    """
    path = os.fspath(path)
    told = next((n for n, e in FORMATS.items() if e and path.endswith(e)), None)
    if given is None:
        given = told or "tf_saved_model"
    if not isinstance(given, str) or given not in FORMATS:
        meant = _ALSO.get(str(given))
        fix = f". Did you mean {meant!r}?" if meant else ""
        raise ValueError(
            f"Argument `format` must be one of {list(FORMATS)}, or None: what "
            f"the ending of the path tells. Received: format={given!r}{fix}"
        )
    ending = FORMATS[given]
    if not path.endswith(ending):
        raise ValueError(
            f"Files of format {given!r} end with `{ending}`. Received: "
            f"path={path!r}"
        )
    if not ending and path.endswith(_KERAS_FILES):
        raise ValueError(
            "A file of Keras is none for serving. Expected: a path that ends "
            "with `.tflite` or `.onnx`, or a folder for a SavedModel. "
            f"Received: path={path!r}. `model.compact().save(path)` writes it."
        )
    if not ending and told is not None:
        raise ValueError(
            f"A SavedModel is a folder, and `{FORMATS[told]}` the ending of "
            f"files of format {told!r}. Received: path={path!r}, "
            f"format={given!r}. Leave `format` out, or give the folder "
            "another name."
        )
    return given

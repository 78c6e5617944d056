"""Writes a network in the format that its device takes, and checks it."""

import importlib.util
import sys
import warnings

import tensorflow as tf

from keras_growprune.export import samples
from keras_growprune.export.file_formats import chosen_format
from keras_growprune.export.litert_converter import QUANTIZATIONS
from keras_growprune.export.litert_converter import litert_content
from keras_growprune.export.onnx_converter import onnx_content
from keras_growprune.export.prepared import is_stateful
from keras_growprune.export.prepared import stateless
from keras_growprune.export.saved_model import write_saved_model
from keras_growprune.export.verification import compare
from keras_growprune.export.verification import plain_network
from keras_growprune.export.verification import shortfall
from keras_growprune.files import new_aside
from keras_growprune.layers.growable import is_count

# What is only asked for where it is needed.
_PACKAGES = {"onnx": ("tf2onnx", "onnx"), "litert": (), "tf_saved_model": ()}
_RUNTIMES = {"onnx": ("onnxruntime",), "litert": (), "tf_saved_model": ()}


def export_model(
    model,
    path,
    format=None,
    *,
    quantization=None,
    representative_dataset=None,
    integer_io=False,
    batch_size="default",
    opset=None,
    verify=True,
    inputs=None,
    overwrite=False,
    verbose=True,
):
    """Writes a network for serving or for a device, and verifies the file.

    The file is converted and run in processes of their own, and appears at
    its place once it has given the network's answers. What it does not
    survive leaves nothing behind.

    Args:
        model: A `GrowPruneModel` (its compact network is written), or a
            functional or built Sequential `keras.Model`.
        path: Where to write: a folder, a `.tflite` or an `.onnx` file.
        format: `"tf_saved_model"`: callable as TF Hub wants it, with the
            signature `serving_default` for TensorFlow Serving. `"litert"`:
            for phones and small devices. `"onnx"`: for ONNX Runtime and
            others (extra `keras_growprune[onnx]`). Defaults to `None`: what
            the ending of `path` tells, a SavedModel where it is another.
        quantization: Of `"litert"`. `None` (default): float32.
            `"dynamic_range"`: weights of 8 bits. `"int8"`: full-integer,
            weights and activations of 8 bits; recurrent layers are unrolled.
        representative_dataset: For `"int8"`: samples of real inputs, a
            hundred or more, which tell the ranges of activations. An array
            (or a list or dict of arrays, as the model takes them), or a
            `tf.data.Dataset` of batches; 1,024 are used at most.
        integer_io: Whether inputs and outputs of a full-integer file are
            `int8` too. Defaults to `False`: float32, as without quantization.
        batch_size: Examples of one call. Defaults to that of the model's
            inputs; where it is open, to 1 for `"litert"`, any (`None`) for
            the others.
        opset: Of `"onnx"`, the version of its operations. Defaults to
            `None`: tf2onnx's choice.
        verify: Whether to run the file beside the network. Defaults to
            `True`.
        inputs: Samples to verify it with, as `representative_dataset`.
            Defaults to `None`: those of `representative_dataset`, or random
            ones.
        overwrite: Whether to replace what is at `path`. Defaults to `False`.
        verbose: Whether to print what was written. Defaults to `True`.

    Returns:
        A `Verification`, or None where `verify=False`.

    Raises:
        ValueError: If an argument does not fit, or a converter does not take
            the network.
        FileExistsError: If there is something at `path`.
        ImportError: If an extra is not installed.
        RuntimeError: If the file does not answer like the network: float
            formats differ by more than 1e-4 of the largest number of an
            output, quantized ones by half of an output's standard deviation.
        OSError: If it cannot be written.

    Example:

    ```python
    model.export(
        "small.tflite",
        quantization="int8",
        representative_dataset=images[:200],
    )
    kgp.export.export_model(model.compact(), "small.onnx")
    ```
    """
    format = chosen_format(path, format)
    _check(format, quantization, representative_dataset, integer_io, opset)
    _check_packages(format, verify)
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        raise ValueError(
            "A file is written of one replica. Received: a call inside "
            "`strategy.scope()`, with several. Call it behind that block."
        )
    network = plain_network(model)
    if is_stateful(network):
        warnings.warn(
            f"Model `{network.name}` is stateful. What a file answers would "
            "depend on who asked it before, so it is written without its "
            "memory: each call starts anew.",
            stacklevel=2,
        )
        model = network = stateless(network)
    batch_size = _batch_size(network, batch_size, format)
    data = None
    if representative_dataset is not None:
        data = samples.given_samples(
            network, representative_dataset, "representative_dataset"
        )
    tried = data
    if inputs is not None:
        tried = samples.given_samples(network, inputs, "inputs")
    elif data is None and verify:
        tried = samples.drawn_samples(network)
    result = None
    with new_aside(path, overwrite) as aside:
        if format == "tf_saved_model":
            write_saved_model(network, aside, batch_size)
        elif format == "litert":
            aside.write_bytes(
                litert_content(
                    network, batch_size, quantization, data, integer_io
                )
            )
        else:
            aside.write_bytes(onnx_content(network, batch_size, opset))
        if verify:
            result = compare(model, network, aside, tried)
            _check_result(result, path, network, quantization)
    if verbose:
        print(f"wrote {path}" + (f": {result}" if result else ""))
    return result


def _batch_size(network, given, file_format):
    """Examples of one call, None for any."""
    fixed = network.inputs[0].shape[0]
    if given == "default":
        return fixed or (1 if file_format == "litert" else None)
    if given is not None and not is_count(given):
        raise ValueError(
            "Argument `batch_size` must be a positive integer or None. "
            f"Received: batch_size={given!r}"
        )
    if fixed is not None and given != fixed:
        raise ValueError(
            f"The inputs of model `{network.name}` have a fixed batch size of "
            f"{fixed}. Received: batch_size={given}. Leave it out, or make "
            "the model with `keras.Input(shape)`, without a batch size."
        )
    return given


def _check(
    file_format, quantization, representative_dataset, integer_io, opset
):
    if quantization not in QUANTIZATIONS:
        raise ValueError(
            f"Argument `quantization` must be one of {list(QUANTIZATIONS)}. "
            f"Received: quantization={quantization!r}"
        )
    if quantization is not None and file_format != "litert":
        raise ValueError(
            "Argument `quantization` belongs to format 'litert'. Received: "
            f"format={file_format!r}, quantization={quantization!r}"
        )
    if (quantization == "int8") != (representative_dataset is not None):
        raise ValueError(
            "quantization='int8' needs `representative_dataset`, samples of "
            "real inputs that tell the ranges of activations; nothing else "
            f"takes it. Received: quantization={quantization!r}, "
            f"representative_dataset={type(representative_dataset).__name__}"
        )
    if integer_io and quantization != "int8":
        raise ValueError(
            "integer_io=True belongs to quantization='int8'. Received: "
            f"quantization={quantization!r}"
        )
    if opset is not None and (file_format != "onnx" or not is_count(opset)):
        raise ValueError(
            "Argument `opset` must be a positive integer, and belongs to "
            f"format 'onnx'. Received: format={file_format!r}, opset={opset!r}"
        )


def _check_packages(file_format, verify):
    needed = [*_PACKAGES[file_format]]
    if verify:
        needed += _RUNTIMES[file_format]
    missing = [each for each in needed if not importlib.util.find_spec(each)]
    if missing:
        raise ImportError(
            f"Format {file_format!r} needs packages that are not installed: "
            f"{', '.join(missing)}. Run "
            f"`{sys.executable} -m pip install {' '.join(missing)}`, packages "
            f"of the extra `keras_growprune[{file_format}]`."
        )


def _check_result(result, path, network, quantization):
    expected = shortfall(result, is_quantized=quantization is not None)
    if expected is not None:
        advice = ""
        if quantization == "int8":
            advice = (
                " Are the samples of `representative_dataset` like real "
                "inputs, prepared as for training?"
            )
        raise RuntimeError(
            f"The file for `{path}` does not answer like network "
            f"`{network.name}`, and was not kept. Expected: {expected}. "
            f"Received: {result}.{advice} With `verify=False` it is kept "
            "unseen."
        )

"""Whether a file answers like the network that it was made of."""

import dataclasses

import keras
import numpy as np

from keras_growprune import keras_internals
from keras_growprune.export import samples
from keras_growprune.export.names import input_names
from keras_growprune.export.names import output_names
from keras_growprune.export.prepared import in_float32
from keras_growprune.export.prepared import is_stateful
from keras_growprune.export.prepared import stateless
from keras_growprune.processes import ChildError
from keras_growprune.processes import run_in_child
from keras_growprune.runtimes import format_of
from keras_growprune.runtimes import open_exported

# Differences by rounding alone, of outputs up to 1: a hundred times what
# networks have.
ROUNDING = 1e-4
# A file whose errors are half as large as what its outputs tell is wrong.
NOISE = 0.5


@dataclasses.dataclass(frozen=True)
class Verification:
    """How far a file's answers are from those of its network.

    Attributes:
        difference: Largest absolute difference of two outputs.
        largest: Largest absolute output of the network.
        noise: Root of the mean squared difference, as a fraction of the
            outputs' standard deviation. 8-bit numbers have a few hundredths.
        agreement: Share of the samples (or positions) where both name the
            same class, the largest of the last axis; None where there is no
            axis of classes.
        samples: Number of samples.
    """

    difference: float
    largest: float
    noise: float
    agreement: float | None
    samples: int

    def __str__(self):
        text = (
            f"largest difference {self.difference:.2g} (outputs up to "
            f"{self.largest:.3g})"
        )
        if self.agreement is not None:
            text += f", agreement {self.agreement:.1%}"
        return f"{text}, {self.samples} samples"


def verify(model, path, inputs=None):
    """Runs an exported file in its own runtime, beside its network.

    LiteRT and ONNX Runtime run in a process of their own, so that a file that
    crashes them does no harm.

    Args:
        model: The network: a `GrowPruneModel`, or a functional or built
            Sequential `keras.Model`.
        path: A `.tflite` or `.onnx` file, or the folder of a SavedModel.
        inputs: Samples: an array (or a list or dict of arrays, as the model
            takes them), or a `tf.data.Dataset` of batches, of which 256 are
            used. Defaults to `None`: 32 random ones.

    Returns:
        A `Verification`.

    Raises:
        FileNotFoundError: If there is no file.
        ImportError: If its runtime is not installed.
        ValueError: If the samples do not fit the model.
        RuntimeError: If the runtime does not run the file.

    Example:

    ```python
    model.export("small.tflite", format="litert", quantization="int8",
                 representative_dataset=images[:200])
    result = kgp.verify(model, "small.tflite", test_images)
    result.agreement  # 0.991
    ```
    """
    network = plain_network(model)
    if is_stateful(network):  # files start anew with each call
        model = network = stateless(network)
    if inputs is None:
        values = samples.drawn_samples(network)
    else:
        values = samples.given_samples(network, inputs, "inputs")
    size = network.inputs[0].shape[0]
    values = samples.whole_batches(values, size)
    return compare(model, network, path, values)


def shortfall(result, is_quantized, rounding=ROUNDING, noise=NOISE):
    """What is expected of an exported file and does not hold.

    Args:
        result: Its `Verification`.
        is_quantized: Whether integers stand for other numbers in it.
        rounding: Largest difference of one in floats, times the largest
            output where that is above 1.
        noise: Largest `noise` of one that is quantized.

    Returns:
        A phrase, or None where it is as it should be.
    """
    allowed = rounding * max(1.0, result.largest)
    # Not the other way round: of numbers that are none neither holds.
    if not is_quantized and not result.difference <= allowed:
        return f"a largest difference of at most {allowed:.2g}"
    if is_quantized and not result.noise <= noise:
        return (
            f"noise of at most {noise:g} of the outputs' standard deviation "
            f"(it is {result.noise:.2g})"
        )
    return None


def plain_network(model):
    """The functional graph of what is to be exported.

    Args:
        model: As in `verify`.

    Raises:
        ValueError: If it is no such model.
    """
    if hasattr(model, "compact"):
        model = model.compact()
    graph = None
    if isinstance(model, keras.Model):
        graph = keras_internals.functional_graph(model)
    if graph is None:
        raise ValueError(
            "Argument `model` must be a `GrowPruneModel`, a functional "
            "`keras.Model` or a Sequential one that is built. Received: "
            f"model={model!r} of type {type(model).__name__}"
        )
    return graph


def compare(model, network, path, values):
    """Runs a file and its network on the same samples.

    Args:
        model: As in `verify`: whose answers are the right ones.
        network: Its `plain_network`.
        path: The file.
        values: List of arrays, one for each input.

    Returns:
        A `Verification`.
    """
    file_format = format_of(path)
    if file_format != "tf_saved_model":
        single = in_float32(network)
        if single is not network:  # what the file was made of
            model = network = single
    wanted = model(samples.pack(network, values), training=False)
    wanted = [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(wanted)]
    given = _run(path, file_format, network, values)
    names = output_names(network)
    if set(names) == set(given):
        given = [given[name] for name in names]
    else:  # written by somebody else
        given = list(given.values())
    if [x.shape for x in given] != [x.shape for x in wanted]:
        raise RuntimeError(
            f"The outputs of `{path}` have other shapes than those of model "
            f"`{network.name}`. Expected: {[x.shape for x in wanted]}. "
            f"Received: {[x.shape for x in given]}"
        )
    return _compared(wanted, given, len(values[0]))


def _answers(model, network, values):
    """The model's flat outputs; batch by batch, where that size is fixed."""
    count = len(values[0])
    size = network.inputs[0].shape[0] or count
    parts = []
    for start in range(0, count, size):
        batch = [value[start : start + size] for value in values]
        outputs = model(samples.pack(network, batch), training=False)
        parts.append(
            [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(outputs)]
        )
    return [np.concatenate(each) for each in zip(*parts)]


def _run(path, file_format, network, values):
    names = input_names(network)
    if file_format == "tf_saved_model":
        file = open_exported(path)
        return file.run(dict(zip(names, values)))
    arrays = {str(index): value for index, value in enumerate(values)}
    request = {"path": str(path), "names": names}
    try:
        return run_in_child("run_file", request, arrays)
    except ChildError as error:
        kind, _, text = str(error).partition(": ")
        if kind in ("ImportError", "ModuleNotFoundError"):
            raise ImportError(text) from error
        raise RuntimeError(
            f"The runtime of `{path}` does not run it: {error}. Expected: a "
            "file that was exported of this network, for this runtime."
        ) from error


def _compared(wanted, given, count):
    differences = [
        np.abs(a.astype("float64") - b) for a, b in zip(wanted, given)
    ]
    all_wanted = np.concatenate([x.ravel() for x in wanted]).astype("float64")
    flat = np.concatenate([x.ravel() for x in differences])
    spread = float(np.std(all_wanted))
    error = float(np.sqrt(np.mean(flat**2)))
    classes = [
        np.argmax(a, axis=-1) == np.argmax(b, axis=-1)
        for a, b in zip(wanted, given)
        if a.ndim > 1 and a.shape[-1] > 1
    ]
    agreement = None
    if classes:
        agreement = float(np.mean(np.concatenate([x.ravel() for x in classes])))
    return Verification(
        difference=float(np.max(flat)),
        largest=float(np.max(np.abs(all_wanted))),
        noise=error / spread if spread else float("inf") if error else 0.0,
        agreement=agreement,
        samples=count,
    )

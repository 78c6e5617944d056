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
from keras_growprune.runtimes import in_batches
from keras_growprune.runtimes import open_exported
from keras_growprune.text import counted

# Differences by rounding alone: a hundred times what networks have.
ROUNDING = 1e-4
# Outputs that are all smaller may be what is left of larger numbers.
_SMALL = 0.01
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
        relative: Largest difference, as a fraction of the largest number of
            the output that it is in (of 0.01, where that is below). Of several
            outputs the one that differs most counts here and in `noise`.

    Example:

    ```python
    result = kgp.export.Verification(
        difference=0.02,
        largest=12.3,
        noise=0.003,
        agreement=1.0,
        samples=200,
        relative=0.0016,
    )
    print(result)
    # largest difference 0.02 (outputs up to 12.3), agreement 100.0%, 200 ...
    ```
    """

    difference: float
    largest: float
    noise: float
    agreement: float | None
    samples: int
    relative: float

    def __str__(self):
        text = (
            f"largest difference {self.difference:.2g} (outputs up to "
            f"{self.largest:.3g})"
        )
        if self.agreement is not None:
            text += f", agreement {self.agreement:.1%}"
        return f"{text}, {counted(self.samples, 'sample')}"


def verify(model, path, inputs=None):
    """Runs an exported file in its own runtime, beside its network.

    LiteRT and ONNX Runtime run in a process of their own, so that a file that
    crashes them does no harm.

    Args:
        model: The network: a `GrowPruneModel`, or a functional or built
            Sequential `keras.Model`.
        path: A `.tflite` or `.onnx` file, or the folder of a SavedModel.
        inputs: Samples: an array (or a list or dict of arrays, as the model
            takes them), or a `tf.data.Dataset` of batches; 1,024 are used
            at most. Defaults to `None`: 32 random ones.

    Returns:
        A `Verification`.

    Raises:
        FileNotFoundError: If there is no file.
        ImportError: If its runtime is not installed.
        ValueError: If the samples do not fit the model.
        RuntimeError: If the runtime does not run the file.

    Example:

    ```python
    model.export(
        "small.tflite",
        format="litert",
        quantization="int8",
        representative_dataset=images[:200],
    )
    result = kgp.verify(model, "small.tflite", test_images)
    result.agreement > 0.5  # True
    ```
    """
    network = plain_network(model)
    if is_stateful(network):  # files start anew with each call
        model = network = stateless(network)
    if inputs is None:
        values = samples.drawn_samples(network)
    else:
        values = samples.given_samples(network, inputs, "inputs")
    return compare(model, network, path, values)


def shortfall(result, is_quantized, rounding=ROUNDING, noise=NOISE):
    """What is expected of an exported file and does not hold.

    Args:
        result: Its `Verification`.
        is_quantized: Whether integers stand for other numbers in it.
        rounding: Largest `relative` difference of one in floats. Defaults to
            1e-4.
        noise: Largest `noise` of one that is quantized. Defaults to 0.5.

    Returns:
        A phrase, or None where it is as it should be.

    Example:

    ```python
    result = kgp.export.Verification(
        difference=0.02,
        largest=12.3,
        noise=0.003,
        agreement=1.0,
        samples=200,
        relative=0.0016,
    )
    kgp.export.shortfall(result, is_quantized=True)  # None
    kgp.export.shortfall(result, is_quantized=False) is None  # False
    ```
    """
    # Not the other way round: of numbers that are none neither holds.
    if not is_quantized and not result.relative <= rounding:
        return (
            f"differences of at most {rounding:.2g} of the largest number of "
            f"their output (they are {result.relative:.2g} of it)"
        )
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

    Returns:
        A functional `keras.Model`: of a `GrowPruneModel` its compact network,
        else the graph of `model`, with the same layers.

    Raises:
        ValueError: If it is no such model.

    Example:

    ```python
    sequential = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    graph = kgp.export.plain_network(sequential)
    graph.layers[-1] is sequential.layers[-1]  # True
    ```
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
    wanted = _answers(model, network, values)
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
    """The model's flat outputs."""

    def run(inputs):
        inputs = samples.pack(network, inputs.values())
        outputs = keras.tree.flatten(model(inputs, training=False))
        return dict(enumerate(map(keras.ops.convert_to_numpy, outputs)))

    size = network.inputs[0].shape[0]
    return list(in_batches(run, dict(enumerate(values)), size).values())


def _run(path, file_format, network, values):
    names = input_names(network)
    if file_format == "tf_saved_model":
        file = open_exported(path)
        try:
            inputs = file.by_name(names, values)
        except ValueError as error:
            raise _does_not_run(path, error) from error
        return file.run(inputs)
    arrays = {str(index): value for index, value in enumerate(values)}
    request = {"path": str(path), "names": names}
    try:
        return run_in_child("run_file", request, arrays)
    except ChildError as error:
        kind, _, text = str(error).partition(": ")
        if kind in ("ImportError", "ModuleNotFoundError"):
            raise ImportError(text) from error
        raise _does_not_run(path, error) from error


def _does_not_run(path, error):
    return RuntimeError(
        f"The runtime of `{path}` does not run it: {error}. Expected: a file "
        "that was exported of this network, for this runtime."
    )


def _compared(wanted, given, count):
    each = [_of_output(a, b) for a, b in zip(wanted, given)]
    difference, largest, noise, beyond, classes = zip(*each)
    classes = [x for x in classes if x is not None]
    agreement = None
    if classes:
        agreement = float(np.mean(np.concatenate([x.ravel() for x in classes])))
    return Verification(
        difference=max(difference),
        largest=max(largest),
        noise=max(noise),
        agreement=agreement,
        samples=count,
        relative=max(beyond),
    )


def _of_output(wanted, given):
    """Numbers of one output, see `Verification`, and where classes agree."""
    right, other = (x.astype("float64").ravel() for x in (wanted, given))
    # What is infinite, or no number, in both is the same.
    same = (right == other) | (np.isnan(right) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        differences = np.where(same, 0.0, np.abs(right - other))
    finite = right[np.isfinite(right)]
    largest = float(np.max(np.abs(finite), initial=0.0))
    spread = float(np.std(finite)) if finite.size else 0.0
    error = float(np.sqrt(np.mean(differences**2)))
    noise = error / spread if spread else float("inf") if error else 0.0
    classes = None
    if wanted.ndim > 1 and wanted.shape[-1] > 1:
        classes = np.argmax(wanted, axis=-1) == np.argmax(given, axis=-1)
    difference = float(np.max(differences))
    relative = difference / max(largest, _SMALL)
    return difference, largest, noise, relative, classes

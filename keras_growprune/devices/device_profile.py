"""How long layers take on one device."""

import itertools
import json
import pathlib
import warnings

import keras
import numpy as np

from keras_growprune.devices import validation
from keras_growprune.devices.latency_cost import LatencyCost
from keras_growprune.devices.latency_cost import layer_features
from keras_growprune.devices.layer_work import work_of
from keras_growprune.devices.measurement import measure_records
from keras_growprune.devices.measurement import time_files
from keras_growprune.devices.measurement import time_models
from keras_growprune.devices.measurement import untrained_copy

_BLOCKS = (1, 2, 4, 8, 16, 32, 64)


@keras.saving.register_keras_serializable(package="keras_growprune")
class DeviceProfile:
    """A small cost model of one device, fitted to measured times.

    The time of a network is a constant and a sum over its layers that
    multiply: `a * multiply-adds + b * outputs + u * uneven outputs + c`.
    Devices compute channels in blocks, so multiply-adds count widths that are
    rounded up, of inputs and of outputs; memory traffic goes with the outputs,
    and takes longer where the width is no multiple of the block; each layer
    has a fixed price. One `(a, b, u, c)` for each kind of layer.

    Usually made by `measure` or `fit`, and kept by `save` and `load`.

    Args:
        layers: Maps a kind of layer (`"convolution"`, `"pointwise"`,
            `"depthwise"`, `"dense"`) to `(a, b, u, c)`: milliseconds per
            million multiply-adds, per million outputs, more per million
            uneven outputs, and for the layer itself.
        block: Positive integer, output channels that the device computes at
            once. Widths under a budget of time are multiples of it. Defaults
            to 1.
        input_block: Positive integer, input channels that it reads at once.
            Defaults to `None`: as many.
        constant: Milliseconds of a call of any network. Defaults to 0.0.
        batch_size: Examples of one call. Defaults to 1.
        runtime: What ran it, such as `"litert"`. Defaults to `""`: nobody
            said.
        error: Median relative error of the prediction for networks that were
            left out of the fit. Defaults to `None`: not known.

    Raises:
        ValueError: If a kind of layer is unknown, a factor is negative or no
            number, or a count is no positive integer.

    Example:

    ```python
    profile = kgp.DeviceProfile.measure(model, runtime="litert")
    profile.save("phone.json")
    budget = kgp.Budget(latency=0.5, profile=profile)
    ```
    """

    def __init__(
        self,
        layers,
        block=1,
        input_block=None,
        constant=0.0,
        batch_size=1,
        runtime="",
        error=None,
    ):
        input_block = block if input_block is None else input_block
        validation.check_profile(
            layers,
            constant,
            error,
            block=block,
            input_block=input_block,
            batch_size=batch_size,
        )
        self.layers = {
            kind: tuple(float(value) for value in values)
            for kind, values in layers.items()
        }
        self.block = int(block)
        self.input_block = int(input_block)
        self.constant = float(constant)
        self.batch_size = int(batch_size)
        self.runtime = runtime
        self.error = None if error is None else float(error)

    def factors(self, kind):
        """`(a, b, u, c)` of a kind of layer.

        A kind that was not measured counts like the most similar one.

        Args:
            kind: `"convolution"`, `"pointwise"`, `"depthwise"` or `"dense"`.

        Returns:
            A tuple of four floats, in the units of `layers`.

        Raises:
            ValueError: If the kind is unknown.
        """
        alike = {
            "convolution": ("pointwise", "dense", "depthwise"),
            "pointwise": ("convolution", "dense", "depthwise"),
            "depthwise": ("convolution", "pointwise", "dense"),
            "dense": ("pointwise", "convolution", "depthwise"),
        }
        if kind not in alike:
            raise ValueError(
                f"Argument `kind` must be one of {sorted(alike)}. Received: "
                f"kind={kind!r}"
            )
        known = (name for name in (kind, *alike[kind]) if name in self.layers)
        return self.layers[next(known)]

    def milliseconds(self, model):
        """Predicts the time of one call.

        Args:
            model: A functional `keras.Model`, or a built Sequential one,
                with inputs of fixed size.

        Returns:
            Milliseconds of `batch_size` examples.
        """
        return self.constant + sum(map(self.layer_milliseconds, work_of(model)))

    def layer_milliseconds(self, work):
        """Predicts the time of one layer within a network.

        Args:
            work: A `LayerWork`.

        Returns:
            Milliseconds of `batch_size` examples.
        """
        features = _features(work, self.block, self.input_block)
        return float(np.dot(features, self.factors(work.kind)))

    def check(self, models, verbose=1, files=None):
        """Times networks on this machine, beside what the profile predicts.

        The networks take turns, so a load on the machine hits all alike, and
        the fractions hold even where the times do not.

        Args:
            models: Dict of functional `keras.Model`s by name, the network
                that the others are compared with first. They stay as they
                are: what is timed with `"tensorflow-train"` are untrained
                copies.
            verbose: 0 for silence, 1 (default) to print a table.
            files: Dict that maps a title, such as `"ONNX"`, to exported files
                by the names of their networks, which are timed in their own
                runtimes. Defaults to `None`.

        Returns:
            A dict that maps each name to `{"predicted": ..., "measured":
            ...}`, in milliseconds, with an entry for each title of `files`.

        Raises:
            ValueError: If the profile is not of a runtime that this machine
                can run, or `files` names no network of `models`.

        Example:

        ```python
        networks = {"full": network, "compact": model.compact()}
        times = profile.check(networks)
        times["compact"]["measured"] / times["full"]["measured"]

        paths = {name: f"{name}.tflite" for name in networks}
        for name, each in networks.items():
            kgp.export.export_model(each, paths[name], "litert")
        profile.check(networks, files={"LiteRT": paths})
        ```
        """
        validation.check_models(models)
        validation.check_files(files, models)
        networks = list(models.values())
        if self.runtime == "tensorflow-train":  # its steps would train them
            networks = [untrained_copy(network) for network in networks]
        times = time_models(networks, self.runtime, self.batch_size, rounds=15)
        result = {
            name: {"predicted": self.milliseconds(model), "measured": time}
            for (name, model), time in zip(models.items(), times)
        }
        for title, paths in (files or {}).items():
            times = time_files(paths.values(), self.batch_size, rounds=15)
            for name, time in zip(paths, times):
                result[name][title] = time
        if verbose:
            print(self._check_table(result))
        return result

    def _check_table(self, result):
        first = next(iter(result.values()))
        length = max(len(name) for name in result)
        lines = [
            f"milliseconds with {self.runtime}, batch {self.batch_size}, "
            "measured on this machine"
        ]
        for name, times in result.items():
            shown = [
                f"{key} {value:.3f}"
                + (f" ({value / first[key]:.1%})" if key in first else "")
                for key, value in times.items()
            ]
            lines.append(f"{name.ljust(length)}  {'  '.join(shown)}")
        return "\n".join(lines)

    def cost(self, channel_map):
        """Returns the `Cost` of a network's structures on this device.

        Args:
            channel_map: The `ChannelMap` of the network.
        """
        return LatencyCost(channel_map, self)

    @classmethod
    def measure(
        cls, model, runtime="tensorflow", batch_size=1, seconds=60, verbose=1
    ):
        """Measures networks of a growing model's structures on this machine.

        The model itself is left as it is.

        Args:
            model: A `GrowPruneModel`.
            runtime: `"tensorflow"` (default, inference), `"tensorflow-train"`
                (a training step with the momentum optimizer) or `"litert"`
                (inference on one thread, as on a phone).
            batch_size: Examples of one call. Defaults to 1.
            seconds: How long it may take, about. Defaults to 60.
            verbose: 0 for silence, 1 (default) for a progress bar and the
                error found.

        Returns:
            A `DeviceProfile`.

        Raises:
            ValueError: If the model is none that grows, the runtime is
                unknown or cannot run its networks, or the batch size does not
                fit.
        """
        validation.check_measuring(model, batch_size, seconds)
        records = measure_records(model, runtime, batch_size, seconds, verbose)
        profile = cls.fit(records, runtime=runtime, batch_size=batch_size)
        if verbose:
            print(
                f"{len(records)} networks, block {profile.block}, median error "
                f"{profile.error:.1%}"
            )
        return profile

    @classmethod
    def fit(cls, records, runtime="", batch_size=1):
        """Fits a profile to timings from anywhere.

        Args:
            records: List of dicts, one for each network that was timed:
                `"layers"`, a list of `LayerWork` or of their dicts, or the
                functional `keras.Model` itself (one layer is a network too),
                and `"milliseconds"`. With single layers only, what a call
                takes cannot be told from what a layer takes: time some whole
                networks as well.
            runtime: What ran them. Defaults to `""`: nobody said.
            batch_size: Examples of one call. Defaults to 1.

        Returns:
            A `DeviceProfile`.

        Example:

        ```python
        def network_of(width):
            inputs = keras.Input((28, 28, 1))
            x = keras.layers.Conv2D(width, 3)(inputs)
            x = keras.layers.GlobalAveragePooling2D()(x)
            return keras.Model(inputs, keras.layers.Dense(10)(x))


        networks = [network_of(width) for width in (8, 16, 24, 32, 48, 64)]
        records = [
            {"layers": each, "milliseconds": time_on_phone(each)}
            for each in networks
        ]
        profile = kgp.DeviceProfile.fit(records, runtime="litert")
        profile.error < 0.1  # True
        ```

        Raises:
            ValueError: If there are fewer than three records, or one of them
                lacks something or has a time that is not positive.
        """
        records = validation.check_records(records)
        if all(len(record["layers"]) == 1 for record in records):
            warnings.warn(
                "All records are of single layers, so what a call takes "
                "cannot be told from what a layer takes, and times of deep "
                "networks may be wrong. Time some whole networks as well.",
                stacklevel=2,
            )
        kinds = sorted({w.kind for r in records for w in r["layers"]})
        times = np.array([record["milliseconds"] for record in records])
        fits = []
        for blocks in itertools.product(_BLOCKS, repeat=2):
            table = np.array(
                [_row(record["layers"], kinds, *blocks) for record in records]
            )
            # Relative errors count: small networks as much as large ones.
            relative = table / times[:, None]
            solution = _solve_non_negative(relative)
            misfit = float(np.sum((relative @ solution - 1) ** 2))
            fits.append((misfit, blocks, relative, solution))
        # The smallest blocks whose misfit is (nearly) the least.
        least = min(fit[0] for fit in fits)
        _, (block, input_block), relative, solution = next(
            fit for fit in fits if fit[0] <= 1.02 * least + 1e-12
        )
        return cls(
            layers=dict(zip(kinds, solution[:-1].reshape(-1, 4))),
            block=block,
            input_block=input_block,
            constant=solution[-1],
            batch_size=batch_size,
            runtime=runtime,
            error=_error_of_left_out(relative),
        )

    def save(self, filepath):
        """Writes the profile as JSON, as a whole or not at all.

        Args:
            filepath: Where to write.
        """
        path = pathlib.Path(filepath)
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(self.get_config(), indent=2) + "\n")
        part.replace(path)

    @classmethod
    def load(cls, filepath):
        """Reads a profile that `save` wrote.

        Args:
            filepath: Path of the file.

        Returns:
            A `DeviceProfile`.

        Raises:
            ValueError: If the file has anything else in it.
            OSError: If it cannot be read.
        """
        try:
            config = json.loads(pathlib.Path(filepath).read_text("utf-8"))
            return cls.from_config(config)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Expected a file that `DeviceProfile.save` wrote. Received: "
                f"{filepath}. {type(error).__name__}: {error}"
            ) from error

    def get_config(self):
        """Returns the constructor's arguments as a dict."""
        return {
            "layers": {k: list(v) for k, v in self.layers.items()},
            "block": self.block,
            "input_block": self.input_block,
            "constant": self.constant,
            "batch_size": self.batch_size,
            "runtime": self.runtime,
            "error": self.error,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the profile that `get_config` described.

        Args:
            config: What it returned.
        """
        return cls(**config)

    def __repr__(self):
        return (
            f"DeviceProfile(runtime={self.runtime!r}, "
            f"batch_size={self.batch_size}, block={self.block})"
        )


def _features(work, block, input_block):
    lengths = [*work.channels, np.nan][:2]
    return layer_features(work.times, lengths, work.outputs, block, input_block)


def _row(layers, kinds, block, input_block):
    """Sums of features by kind, and the 1 of the constant."""
    row = np.zeros((len(kinds), 4))
    for work in layers:
        row[kinds.index(work.kind)] += _features(work, block, input_block)
    return np.append(row.ravel(), 1.0)


def _solve_non_negative(relative):
    """Least squares of `relative @ solution = 1` with a solution >= 0."""
    solution = np.zeros(relative.shape[1])
    columns = np.flatnonzero(np.any(relative > 0, axis=0))
    scale = np.linalg.norm(relative, axis=0)
    target = np.ones(len(relative))
    while len(columns):
        found = np.linalg.lstsq(
            relative[:, columns] / scale[columns], target, rcond=1e-9
        )[0]
        if np.all(found >= 0):
            solution[columns] = found / scale[columns]
            break
        columns = np.delete(columns, np.argmin(found))
    return solution


def _error_of_left_out(relative, parts=5):
    """Median relative error of records that a fit has not seen."""
    errors = []
    index = np.arange(len(relative))
    for part in range(parts):
        left_out = index % parts == part
        if left_out.any() and not left_out.all():
            solution = _solve_non_negative(relative[~left_out])
            errors.extend(np.abs(relative[left_out] @ solution - 1))
    return float(np.median(errors))

"""Refuses what no profile can be made of, before anything is measured."""

import keras
import numpy as np

from keras_growprune.devices.layer_work import KINDS
from keras_growprune.devices.layer_work import LayerWork
from keras_growprune.devices.layer_work import graph_of
from keras_growprune.devices.layer_work import work_of
from keras_growprune.layers.growable import is_count
from keras_growprune.layers.growable import is_number
from keras_growprune.runtimes import format_of


def check_profile(layers, constant, error, **counts):
    """Checks the arguments of `DeviceProfile`.

    Args:
        layers, constant, error: As there.
        **counts: Those that are positive integers.
    """
    if not isinstance(layers, dict) or not layers:
        raise ValueError(
            "Argument `layers` must be a dict that maps kinds of layers to "
            f"their four factors. Received: layers={layers!r}"
        )
    for kind, factors in layers.items():
        _check_kind(kind, "Argument `layers`")
        is_right = (
            isinstance(factors, (list, tuple, np.ndarray))
            and len(factors) == 4
            and all(is_number(factor) and factor >= 0 for factor in factors)
        )
        if not is_right:
            raise ValueError(
                "Argument `layers` must have four factors (a, b, u, c) of a "
                "kind of layer, finite and not negative. Received: "
                f"{kind!r}: {factors!r}"
            )
    if not (is_number(constant) and constant >= 0):
        raise ValueError(
            "Argument `constant` must be a number of milliseconds, not "
            f"negative. Received: constant={constant!r}"
        )
    if not (error is None or is_number(error)):
        raise ValueError(
            "Argument `error` must be a number or None. Received: "
            f"error={error!r}"
        )
    for name, value in counts.items():
        check_count(name, value)


def check_count(name, value):
    """Checks a positive integer."""
    if not is_count(value):
        raise ValueError(
            f"Argument `{name}` must be a positive integer. Received: "
            f"{name}={value!r}"
        )


def check_measuring(model, batch_size, seconds):
    """Checks the arguments of `DeviceProfile.measure`."""
    if not hasattr(model, "untrained"):
        raise ValueError(
            "Argument `model` must be a `GrowPruneModel`: its structures are "
            f"what is measured. Received: model={model!r} of type "
            f"{type(model).__name__}. Make one with "
            "`keras_growprune.growable(model, budget)`; any budget does."
        )
    check_count("batch_size", batch_size)
    if not (is_number(seconds) and seconds > 0):
        raise ValueError(
            "Argument `seconds` must be a positive number. Received: "
            f"seconds={seconds!r}"
        )


def check_models(models):
    """Checks the argument of `DeviceProfile.check`."""
    if not isinstance(models, dict) or not models:
        raise ValueError(
            "Argument `models` must be a dict of models by name, such as "
            '{"full": full, "compact": model.compact()}. Received: '
            f"models={models!r}"
        )
    for model in models.values():
        graph_of(model)


def check_files(files, models):
    """Checks the exported files that `DeviceProfile.check` is to time."""
    if files is None:
        return
    is_right = isinstance(files, dict) and all(
        isinstance(paths, dict) and paths and set(paths) <= set(models)
        for paths in files.values()
    )
    if not is_right:
        raise ValueError(
            "Argument `files` must map titles to exported files by the names "
            'of their networks, such as {"ONNX": {"full": "full.onnx"}}. The '
            f"networks are {list(models)}. Received: files={files!r}"
        )
    taken = {"predicted", "measured"} & set(files)
    if taken:
        raise ValueError(
            f"Titles in `files` must differ from {sorted(taken)}, which the "
            "profile's own times have."
        )
    for paths in files.values():
        for path in paths.values():
            format_of(path)


def check_sizes(model, batch_size):
    """Checks that inputs have sizes, and may come in batches of a size."""
    for tensor in model.inputs:
        if None in tensor.shape[1:]:
            raise ValueError(
                f"Input `{tensor.name}` of network `{model.name}` must have a "
                "fixed size, so that it can be timed. Received: shape "
                f"{tuple(tensor.shape)}"
            )
        if tensor.shape[0] not in (None, batch_size):
            raise ValueError(
                f"The inputs of network `{model.name}` have a fixed batch "
                f"size of {tensor.shape[0]}. Received: "
                f"batch_size={batch_size}. Give "
                f"`batch_size={tensor.shape[0]}`."
            )


def check_records(records):
    """Checks the records of `DeviceProfile.fit`.

    Returns:
        List of dicts with `"layers"`, a list of `LayerWork`, and
        `"milliseconds"`, a float.
    """
    if not isinstance(records, (list, tuple)):
        raise ValueError(
            "Argument `records` must be a list of dicts. Received: "
            f"records={records!r} of type {type(records).__name__}"
        )
    checked = [_record(i, record) for i, record in enumerate(records)]
    if len(checked) < 3:
        raise ValueError(
            "A profile needs timings of at least three networks. "
            f"Received: {len(checked)}"
        )
    return checked


def _record(index, record):
    needed = {"layers", "milliseconds"}
    if not isinstance(record, dict) or not needed <= set(record):
        raise ValueError(
            "Each record must be a dict with `layers` and `milliseconds`. "
            f"Received: record {index}, {record!r}"
        )
    milliseconds, layers = record["milliseconds"], record["layers"]
    if not (is_number(milliseconds) and milliseconds > 0):
        raise ValueError(
            "Each record must have a positive time. Received: "
            f"milliseconds={milliseconds!r} in record {index}"
        )
    if isinstance(layers, keras.Model):
        layers = work_of(layers)
    if not isinstance(layers, (list, tuple)) or not layers:
        raise ValueError(
            "Each record must have a list of at least one layer that "
            "multiplies, or a functional model. Received: "
            f"layers={layers!r} in record {index}"
        )
    layers = [_work(index, work) for work in layers]
    return {"layers": layers, "milliseconds": float(milliseconds)}


def _work(index, work):
    if not isinstance(work, LayerWork):
        try:
            work = LayerWork.from_dict(work)
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(
                "A layer of a record must be a `LayerWork`, or a dict of its "
                f"attributes. Received: {work!r} in record {index}"
            ) from error
    where = f"A layer of record {index}"
    _check_kind(work.kind, where)
    # Projections of attention: only one side of a head's width is channels.
    sides = {"depthwise": [1], "dense": [1, 2]}.get(work.kind, [2])
    is_right = (
        is_number(work.times)
        and work.times > 0
        and is_number(work.outputs)
        and work.outputs > 0
        and len(work.channels) in sides
        and all(map(is_count, work.channels))
    )
    if not is_right:
        raise ValueError(
            f"{where} must have positive `times` and `outputs`, and positive "
            f"integers in `channels`, {' or '.join(map(str, sides))} of them. "
            f"Received: {work!r}"
        )
    return work


def _check_kind(kind, where):
    if kind not in KINDS:
        raise ValueError(
            f"{where} must be of a kind among {sorted(KINDS)}. Received: "
            f"{kind!r}"
        )

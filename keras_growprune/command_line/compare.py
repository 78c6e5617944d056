"""`compare FILE FILE ...`: networks and files side by side."""

import dataclasses

import keras
from absl import app
from absl import flags

from keras_growprune.command_line.command import Command
from keras_growprune.command_line.given_files import SAVED
from keras_growprune.command_line.given_files import define_import
from keras_growprune.command_line.given_files import kind_of
from keras_growprune.command_line.given_files import load_model
from keras_growprune.command_line.network_cost import flops_of
from keras_growprune.devices.measurement import time_calls
from keras_growprune.devices.runtimes import prepare
from keras_growprune.devices.runtimes import prepare_file
from keras_growprune.export import size_on_disk
from keras_growprune.runtimes.error_text import first_line
from keras_growprune.text import count_text
from keras_growprune.text import size_text
from keras_growprune.text import table

_RUNTIMES = ("tensorflow", "litert")  # of saved models
# Of exported files, which have one each.
_OWN = {"tf_saved_model": "tensorflow", "litert": "litert", "onnx": "onnx"}
_ROUNDS = 15


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A file to compare; its network, if it is a saved model."""

    path: str
    kind: str
    model: keras.Model | None

    def prepare(self, runtime, batch_size):
        """A function that runs it once, None where it has no such runtime."""
        if self.model is not None:
            return prepare(self.model, runtime, batch_size)
        if _OWN[self.kind] == runtime:
            return prepare_file(self.path, batch_size)
        return None


def _run(files, options):
    unknown = set(options.runtimes) - set(_RUNTIMES)
    if unknown:
        raise app.UsageError(
            f"--runtimes has some of {','.join(_RUNTIMES)}, not "
            f"{','.join(sorted(unknown))}"
        )
    kinds = [kind_of(path) for path in files]  # before anything is loaded
    entries = [
        _Entry(path, kind, _network(path, options) if kind == SAVED else None)
        for path, kind in zip(files, kinds)
    ]
    costs, notes = _costs(entries)
    columns = dict(costs)
    for runtime in (*_RUNTIMES, "onnx"):
        times, problems = _times(entries, runtime, options)
        if times:
            columns[f"{runtime}, ms"] = (times, "{:.3g}".format)
        notes += problems
    print(_table(entries, columns))
    print("In brackets: relative to the first that has a number.")
    if set(columns) - set(costs):
        print(
            f"Times are of one call, batch {options.batch_size}, on this "
            "machine, taken in turn."
        )
    for note in notes:
        print(note)


def _network(path, options):
    """What a saved model runs when it is used: of a growing one, the compact
    network."""
    model = load_model(path, options)
    return model.compact() if hasattr(model, "compact") else model


def _costs(entries):
    params, flops, notes = [], [], []
    for entry in entries:
        count, why = None, None
        if entry.model is not None:
            count, why = flops_of(entry.model)
        if why:
            notes.append(f"FLOPs of {entry.path} are not known. {why}")
        model = entry.model
        params.append(None if model is None else model.count_params())
        flops.append(count)
    sizes = [size_on_disk(entry.path) for entry in entries]
    columns = {
        "parameters": (params, count_text),
        "FLOPs": (flops, count_text),
        "on disk": (sizes, size_text),
    }
    return columns, notes


def _times(entries, runtime, options):
    """Milliseconds in a runtime; None where a file is not run in it.

    Returns:
        The list, empty where it would be all None; and what went wrong.
    """
    runs, notes = {}, []
    for index, entry in enumerate(entries):
        if entry.model is not None and runtime not in options.runtimes:
            continue
        try:
            run = entry.prepare(runtime, options.batch_size)
            if run is not None:
                run()
                runs[index] = run
        except Exception as error:  # of each runtime's own types
            reason = first_line(error).removesuffix(".")
            notes.append(f"{entry.path} in {runtime}: {reason}.")
    if not runs:
        return [], notes
    times = dict(zip(runs, time_calls(list(runs.values()), _ROUNDS)))
    return [times.get(index) for index in range(len(entries))], notes


def _table(entries, columns):
    shown = [
        _with_ratios(values, text_of) for values, text_of in columns.values()
    ]
    rows = [(entry.path, *cells) for entry, cells in zip(entries, zip(*shown))]
    return table(("", *columns), rows)


def _with_ratios(values, text_of):
    """Cells of a column, aligned, with ratios to its first number."""
    first = next((value for value in values if value), None)
    cells = []
    for value in values:
        if value is None:
            cells.append("-" + " " * len(" (1.00)"))
        else:
            ratio = f"({value / first:.2f})" if first else ""
            cells.append(f"{text_of(value)} {ratio}")
    return cells


def _define_flags(options):
    define_import(options)
    flags.DEFINE_list(
        "runtimes",
        list(_RUNTIMES),
        "What saved models are timed in; empty for nothing. An exported file "
        "is timed in its own runtime.",
        flag_values=options,
    )
    flags.DEFINE_integer(
        "batch_size",
        1,
        "Examples of one call. Default: 1.",
        lower_bound=1,
        flag_values=options,
    )


COMMAND = Command(
    name="compare",
    files=("FILE", "FILE"),
    takes_more=True,
    summary="Shows costs and times of networks side by side.",
    details="Each FILE is a saved model (of a growing one the compact network "
    "counts) or an exported file. LiteRT and ONNX Runtime run on one thread.",
    define_flags=_define_flags,
    run=_run,
)

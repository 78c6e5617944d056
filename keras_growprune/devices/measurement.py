"""Times networks of many widths on this machine."""

import contextlib
import random
import statistics
import time

import keras
import numpy as np

from keras_growprune.backend import quiet_logs
from keras_growprune.devices.denormals import denormals_flushed
from keras_growprune.devices.layer_work import work_of
from keras_growprune.devices.runtimes import prepare
from keras_growprune.devices.runtimes import prepare_file
from keras_growprune.structure import Structure

_FEWEST, _MOST = 8, 32
_ROUNDS = 5


@contextlib.contextmanager
def random_state_kept():
    """Inside, drawing weights does not change what is drawn afterwards.

    Keras draws the seeds of its initializers from Python's generator; a
    training should not depend on whether something was timed before it.
    """
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


@random_state_kept()
@quiet_logs()
def time_models(models, runtime="tensorflow", batch_size=1, rounds=_ROUNDS):
    """Times models side by side.

    They take turns, and each round is seen relative to its own median, so
    that a load on the machine hits all alike.

    Args:
        models: List of functional `keras.Model`s.
        runtime, batch_size: As in `DeviceProfile.measure`.
        rounds: How often each is timed.

    Returns:
        List of milliseconds of one call, one for each model.
    """
    return time_calls(
        [prepare(model, runtime, batch_size) for model in models], rounds
    )


@quiet_logs()
def time_files(paths, batch_size=1, rounds=_ROUNDS):
    """Times exported files side by side, each in its own runtime.

    LiteRT and ONNX Runtime run on one thread.

    Args:
        paths: List of paths of `.tflite` and `.onnx` files and of folders of
            SavedModels.
        batch_size: Examples of one call.
        rounds: As in `time_models`.

    Returns:
        List of milliseconds of one call, one for each file.
    """
    return time_calls(
        [prepare_file(path, batch_size) for path in paths], rounds
    )


def time_calls(runs, rounds=_ROUNDS):
    """Times functions side by side, as `time_models` does.

    Args:
        runs: List of functions without arguments.
        rounds: How often each is timed.

    Returns:
        List of milliseconds of one call, one for each function.
    """
    for run in runs:  # traces, and warms up
        run()
    return _milliseconds([[_timed(run) for run in runs] for _ in range(rounds)])


@random_state_kept()
def untrained_copy(model):
    """A network of the same shape, with weights of its own."""
    if hasattr(model, "untrained"):  # it grows: what it is at present
        return model.untrained()
    return keras.models.clone_model(model)


def sample_networks(model, count=24, seed=0):
    """Untrained plain networks of a growing model's structures, to be timed.

    The full network first, then narrow, uneven and shallow ones. The model
    stays as it is.

    Args:
        model: A `GrowPruneModel`.
        count: Number of networks.
        seed: Seed of their structures.

    Returns:
        An iterator of `keras.Model`s.
    """
    generator = np.random.default_rng(seed)
    for index in range(count):
        yield model.untrained(_structure(model, index, generator))


@random_state_kept()
@quiet_logs()
def measure_records(model, runtime, batch_size, seconds, verbose):
    """Times untrained networks of a growing model's structures.

    Args:
        model: A `GrowPruneModel`; it stays as it is.
        runtime, batch_size, seconds, verbose: As in `DeviceProfile.measure`.

    Returns:
        List of records for `DeviceProfile.fit`.
    """
    started = time.perf_counter()
    networks = sample_networks(model, _MOST)
    progress = keras.utils.Progbar(seconds, verbose=verbose, unit_name="second")

    def passed():
        now = time.perf_counter() - started
        progress.update(min(now, seconds - 0.01))
        return now

    works, runs = [], []
    # Half of the time to build and trace networks, the rest to time them.
    while len(runs) < _FEWEST or (len(runs) < _MOST and passed() < seconds / 2):
        network = next(networks)
        works.append(work_of(network))
        runs.append(prepare(network, runtime, batch_size))
        runs[-1]()
        passed()
    rounds = []
    while len(rounds) < 3 or passed() < seconds:
        rounds.append([_timed(run) for run in runs])
        passed()
    progress.update(seconds, finalize=True)
    return [
        {"layers": layers, "milliseconds": milliseconds}
        for layers, milliseconds in zip(works, _milliseconds(rounds))
    ]


def _structure(model, index, generator):
    """The full network first, then narrow, uneven and shallow ones."""
    units = np.zeros(model.structure.units.shape, bool)
    uniform = generator.uniform(0.2, 1.0)
    step = (1, 4, 8)[index % 3]  # blocks of devices, and widths between them
    for group in model.groups:
        share = uniform if index % 2 else generator.uniform(0.2, 1.0)
        width = max(step, round(group.size * share / step) * step)
        width = group.size if index == 0 else min(width, group.size)
        units[group.start : group.start + width] = True
    gates = np.ones(model.structure.gates.shape, bool)
    if index % 4 > 1:
        gates = generator.random(gates.shape) < 0.6
    return Structure(units, gates)


def _timed(run):
    """Milliseconds of one call, from as many as take a few milliseconds."""
    count = 0
    with denormals_flushed():
        started = time.perf_counter()
        while count == 0 or time.perf_counter() - started < 0.005:
            run()
            count += 1
        return (time.perf_counter() - started) * 1e3 / count


def _milliseconds(rounds):
    """Median over rounds, each taken relative to its own median."""
    levels = [statistics.median(times) for times in rounds]
    relative = [
        [time / level for time in times] for times, level in zip(rounds, levels)
    ]
    level = statistics.median(levels)
    return [level * statistics.median(times) for times in zip(*relative)]

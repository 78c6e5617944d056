"""Times what cells of language models trained, in turn with the full one."""

import statistics
import time

import keras
import language_training
import numpy as np

from keras_growprune.devices import time_models

_ROUNDS = 15
_FACTORS = (2, 4)


def time_cell(task, cell):
    """Times one cell's networks.

    Args:
        task: The `LanguageTask`.
        cell: The cell.

    Returns:
        A dict of fractions of the full network's: `training` (time of all
        training steps, without restructuring and retracing) and words a
        second of the final network, `rate` in TensorFlow and `litert` in
        LiteRT. `rate_x2` and so on are those of untrained networks in which
        all widths are as many times larger.
    """
    structures = [task.structure(widths) for _, widths in cell["phases"]]
    networks = [task.plain(), *map(task.plain, structures)]
    full, *steps = _seconds([_training_step(task, n) for n in networks])
    trained = sum(
        epochs * step for (epochs, _), step in zip(cell["phases"], steps)
    )
    result = {"training": trained / full / task.recipe.epochs}
    widths = np.array(cell["phases"][-1][1])
    for factor in (1, *_FACTORS):
        wide = task.wider(factor)
        pair = [wide.plain(), wide.plain(wide.structure(factor * widths))]
        for name, runtime in (("rate", "tensorflow"), ("litert", "litert")):
            slow, fast = time_models(
                pair, runtime, task.recipe.batch_size, rounds=_ROUNDS
            )
            end = f"_x{factor}" if factor > 1 else ""
            result[name + end] = slow / fast
    return result


def _batch(task):
    shape = (task.recipe.batch_size, task.recipe.steps)
    random = np.random.default_rng(0)
    return random.integers(0, len(task.corpus.words), shape).astype("int32")


def _training_step(task, network):
    batch = _batch(task)
    clip = task.recipe.clip / task.recipe.steps
    network.compile(
        keras.optimizers.SGD(1.0, global_clipnorm=clip),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[language_training.Perplexity()],
    )
    return lambda: network.train_on_batch(batch, batch)


def _seconds(runs):
    """Median seconds of functions that take turns."""
    for run in runs:  # traces
        run()
    times = [[_timed(run) for run in runs] for _ in range(_ROUNDS)]
    return [statistics.median(column) for column in zip(*times)]


def _timed(run):
    started = time.perf_counter()
    run()
    return time.perf_counter() - started

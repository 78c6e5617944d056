"""Times what cells of language models trained, in turn with the full one."""

import statistics
import time

import keras
import language_training
import numpy as np

_ROUNDS = 15


def time_cell(task, cell):
    """Times one cell's networks.

    Args:
        task: The `LanguageTask`.
        cell: The cell.

    Returns:
        A dict of fractions of the full network's: `training` (time of all
        training steps, without restructuring and retracing) and `rate` (words
        a second of the final network).
    """
    structures = [task.structure(widths) for _, widths in cell["phases"]]
    networks = [task.plain(), *map(task.plain, structures)]
    full, *steps = _seconds([_training_step(task, n) for n in networks])
    trained = sum(
        epochs * step for (epochs, _), step in zip(cell["phases"], steps)
    )
    batch = _batch(task)
    slow, fast = _seconds(
        [
            lambda network=network: network.predict_on_batch(batch)
            for network in (networks[0], networks[-1])
        ]
    )
    return {
        "training": trained / full / task.recipe.epochs,
        "rate": slow / fast,
    }


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

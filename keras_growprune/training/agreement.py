"""One decision for all workers that train a network together.

Each worker decides by itself: from the same state, with the same random
numbers, about the same weights, so there is nothing to be sent. That it came
to the same is checked.
"""

import hashlib

from keras_growprune import keras_internals


def seed_of_all(replicas, seed):
    """The chief's seed of growing.

    Args:
        replicas: The `Replicas` that take part.
        seed: This worker's, an integer.
    """
    return int(replicas.exchange(str(seed).encode())[0])


def check_agreement(replicas, model, state, optimizers):
    """Ends the run of all workers, if they have come to differ.

    All workers have to call it.

    Args:
        replicas: The `Replicas` that take part.
        model: The `GrowPruneModel`.
        state: Its `GrowthState`.
        optimizers: List of those that train it; None stands for none.

    Raises:
        RuntimeError: If structure, weights or the optimizer's state are not
            bit by bit the chief's.
    """
    if replicas.workers == 1:
        return
    here = _digests(model, state, optimizers)
    told = replicas.exchange(b"".join(here.values()))
    size = len(told[0]) // len(here)
    problems = []
    for worker, other in enumerate(told[1:], 1):
        different = [
            name
            for index, name in enumerate(here)
            if other[index * size : (index + 1) * size]
            != told[0][index * size : (index + 1) * size]
        ]
        if different:
            problems.append(f"worker {worker}: {', '.join(different)}")
    if problems:
        raise RuntimeError(
            f"The workers that train model `{model.name}` differ. Expected: "
            f"on all {replicas.workers} workers the same, bit by bit. "
            f"Received, other than on the chief: {'; '.join(problems)}. All "
            "workers must build the model alike, load the same file, and call "
            "`restructure`, `settle` and `fit` in the same order. Start all of "
            "them anew; with `kgp.callbacks.BackupAndRestore` the run goes on "
            "from its last backup."
        )


def _digests(model, state, optimizers):
    """What workers have in common, each as 16 bytes."""
    structure = state.to_arrays()
    parts = {
        "structure": [structure[name] for name in sorted(structure)],
        "weights": _values(model.variables),
        "state of the optimizer": _values(
            variable
            for optimizer in optimizers
            if optimizer is not None
            for part in keras_internals.optimizers_in(optimizer)
            for variable in part.variables
        ),
    }
    return {name: _digest(arrays) for name, arrays in parts.items()}


def _values(variables):
    return [keras_internals.read_variable(variable) for variable in variables]


def _digest(arrays):
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(array.tobytes())
    return digest.digest()

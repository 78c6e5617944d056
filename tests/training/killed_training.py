"""A program that kills and restarts a training, and compares the ends.

Each process is a copy of this one, which has imported all and computed
nothing: it is started anew from the beginning of the training each time.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np

import keras_growprune as kgp

EPOCHS = 8


def network():
    inputs = keras.Input((5,))
    x = kgp.layers.GrowableDense(8, use_bias=False)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    y = kgp.layers.GrowableDense(6, activation="relu")(x)
    y = kgp.layers.GrowableDense(8)(keras.layers.Dropout(0.2)(y))
    x = kgp.layers.GatedAdd()([x, y])
    return inputs, keras.layers.Dense(3)(x)


def train(folder, result):
    """The command: all of it, from the data to what it leaves behind."""
    keras.utils.set_random_seed(0)
    schedule = kgp.GrowthSchedule(0.3, 0.9, 0.3, 0.7)
    budget = kgp.Budget(flops=0.6)
    model = kgp.GrowPruneModel(*network(), budget, schedule, seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    draws = np.random.default_rng(0)
    x = draws.normal(size=(64, 5)).astype("float32")
    y = draws.integers(0, 3, 64)
    backup = kgp.callbacks.BackupAndRestore(folder)
    model.fit(
        x,
        y,
        batch_size=16,
        epochs=EPOCHS,
        validation_data=(x, y),
        verbose=0,
        callbacks=[backup],
    )
    weights = hashlib.sha256()
    for variable in [*model.weights, *model.optimizer.variables]:
        weights.update(variable.numpy().tobytes())
    told = {
        **model.evaluate(x, y, verbose=0, return_dict=True),
        "settled": model.settled,
        "units": model.structure.units.tolist(),
        "gates": model.structure.gates.tolist(),
        "weights": weights.hexdigest(),
        "epochs": len(model.ledger.epochs),
    }
    with open(result, "w") as file:
        json.dump(told, file)


def start(folder, result, at=None):
    """Starts the training in a process of its own; returns its number."""
    child = os.fork()
    if child:
        return child
    try:
        if at is not None:
            kill_at(*at)
        train(folder, result)
    finally:
        sys.stderr.flush()
        os._exit(0 if os.path.exists(result) else 1)


def kill_at(kind, count):
    """Lets this process kill itself at a moment of writing a backup."""
    left = [count]

    def counted(before):
        def function(*args, **kwargs):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return before(*args, **kwargs)

        return function

    name = {"write": "fsync", "replace": "replace", "remove": "remove"}[kind]
    setattr(os, name, counted(getattr(os, name)))


def main(folder, kills, seed):
    draws = random.Random(seed)
    began = time.monotonic()
    whole = os.path.join(folder, "whole.json")
    os.waitpid(start(os.path.join(folder, "whole"), whole), 0)
    seconds = time.monotonic() - began
    backups = os.path.join(folder, "backups")
    result = os.path.join(folder, "restarted.json")
    killed = []
    while len(killed) < kills:
        # One at each kind of moment, then at any.
        kinds = ["write", "replace", "remove"][len(killed) :]
        kind = kinds[0] if kinds else draws.choice(["time", "time", "write"])
        at = None if kind == "time" else (kind, draws.randint(1, 2))
        child = start(backups, result, at)
        if kind == "time":
            time.sleep(seconds * draws.uniform(0.3, 0.9))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed.append(kind)
        elif os.path.exists(result):  # it had ended: a run of its own
            compare(whole, result)
            os.remove(result)
    _, status = os.waitpid(start(backups, result), 0)
    told = {
        "killed": killed,
        "whole": read(whole),
        "restarted": read(result),
        "left": os.listdir(backups) if os.path.exists(backups) else [],
    }
    print(json.dumps(told))


def read(path):
    with open(path) as file:
        return json.load(file)


def compare(one, other):
    if read(one) != read(other):
        raise SystemExit(f"{read(one)} is not {read(other)}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

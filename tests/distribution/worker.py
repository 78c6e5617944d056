"""One worker of a training, as a process of its own.

Takes its task from TF_CONFIG and what to do from its argument, a dict in JSON;
prints what became of it as a line of JSON. Errors end it as they end any
program.
"""

import hashlib
import json
import os
import signal
import sys

import tensorflow as tf

# Before anything else of TensorFlow is used.
SETTINGS = json.loads(sys.argv[1])
INDEX = SETTINGS["index"]
STRATEGY = (
    tf.distribute.MultiWorkerMirroredStrategy()
    if "TF_CONFIG" in os.environ
    else None
)

import contextlib  # noqa: E402

import keras  # noqa: E402
import numpy as np  # noqa: E402

import keras_growprune as kgp  # noqa: E402
from keras_growprune.structure import Structure  # noqa: E402
from tests.distribution import replicas  # noqa: E402
from tests.networks import random_structure  # noqa: E402


class Scenario(keras.callbacks.Callback):
    """What is done to the run while it is trained."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        if SETTINGS.get("restructure"):
            random = np.random.default_rng(epoch)
            structure = random_structure(self.model, random)
            gates = structure.gates.copy()
            gates[0] = epoch % 2  # a block leaves and returns
            self.model.restructure(Structure(structure.units, gates))
        if SETTINGS.get("alone") == [INDEX, epoch]:
            now = self.model.structure
            everything = np.ones_like(now.units)
            self.model.restructure(Structure(everything, now.gates))

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        structure = model.structure
        self.epochs.append(
            {
                "epoch": epoch,
                "loss": float(logs["loss"]),
                "structure": [
                    *map(int, structure.units),
                    *map(int, structure.gates),
                ],
                "weights": digest(model),
            }
        )
        if SETTINGS.get("kill") == [INDEX, epoch]:
            os.kill(os.getpid(), signal.SIGKILL)


def digest(model):
    values = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    content = b"".join(value.tobytes() for value in values)
    return hashlib.sha256(content).hexdigest()


def main():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    seed = 0 if SETTINGS.get("same_seed", True) else INDEX
    keras.utils.set_random_seed(seed)
    scope = contextlib.nullcontext if STRATEGY is None else STRATEGY.scope
    network = getattr(replicas, SETTINGS.get("network", "residual"))
    with scope():
        model = kgp.GrowPruneModel(
            *network(),
            budget=kgp.Budget(flops=0.5),
            seed=0 if SETTINGS.get("same_seed", True) else None,
        )
        model.compile(
            replicas.sgd(),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    x, y = replicas.data(model, 96)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(24)
    batches = batches.with_options(options)
    scenario = Scenario()
    callbacks = [scenario]
    folder = SETTINGS.get("backup")
    if folder:
        folder = folder[INDEX] if isinstance(folder, list) else folder
        callbacks.insert(0, kgp.callbacks.BackupAndRestore(folder))
    model.fit(
        batches, epochs=SETTINGS["epochs"], verbose=0, callbacks=callbacks
    )
    answers = model.predict(x, batch_size=24, verbose=0)
    compact = model.compact()
    difference = np.abs(answers - np.array(compact(x, training=False))).max()
    path = os.path.join(SETTINGS["folder"], f"worker_{INDEX}.keras")
    model.save(path)
    result = {
        "epochs": scenario.epochs,
        "weights": digest(model),
        "difference": float(difference),
        "evaluated": float(model.evaluate(batches, verbose=0)),
        "answers": hashlib.sha256(answers.tobytes()).hexdigest(),
        "saved": path,
    }
    print("RESULT " + json.dumps(result), flush=True)


main()

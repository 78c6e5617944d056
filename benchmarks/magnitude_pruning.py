"""Unstructured magnitude pruning, as Keras users know it.

`tensorflow_model_optimization` prunes models of tf_keras, so the network's twin
is pruned.
"""

import time

import image_data
import numpy as np
import tf_keras

import keras_growprune as kgp

SPARSITY = 0.5


def train(task, seed):
    """Trains and prunes; returns a cell as `methods.cell_of` does.

    FLOPs stay those of the full network: zeros in a kernel save none.
    """
    tfmot = kgp.export.import_tfmot()
    preset = task.preset
    model = kgp.export.to_tf_keras(task.plain())
    data = image_data.batches(*task.train_data, preset.batch_size, seed)
    steps = len(data) * preset.epochs
    # Sparsity rises while a grown network would change its structure.
    pruned = tfmot.sparsity.keras.prune_low_magnitude(
        model,
        tfmot.sparsity.keras.PolynomialDecay(
            0.0, SPARSITY, begin_step=0, end_step=round(0.45 * steps)
        ),
    )
    pruned.compile(
        tf_keras.optimizers.SGD(
            tf_keras.optimizers.schedules.CosineDecay(
                preset.learning_rate, steps
            ),
            momentum=0.9,
            nesterov=True,
        ),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    started = time.perf_counter()
    history = pruned.fit(
        data,
        epochs=preset.epochs,
        verbose=0,
        callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
    ).history
    seconds = time.perf_counter() - started
    final = tfmot.sparsity.keras.strip_pruning(pruned)
    weights = final.trainable_weights
    nonzero = sum(np.count_nonzero(weight.numpy()) for weight in weights)
    full = task.structure()
    return {
        **task.accuracies(final),
        "loss": history["loss"][-1],
        "seconds": seconds,
        "training_flops": 1.0,
        "flops": 1.0,
        "params": nonzero / sum(weight.numpy().size for weight in weights),
        "retrace_share": 0.0,
        "phases": [[preset.epochs, task.widths(full), full.gates.tolist()]],
    }

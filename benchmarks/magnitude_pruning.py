"""Unstructured magnitude pruning, as Keras users know it.

`tensorflow_model_optimization` prunes models of Keras 2 (`tf_keras`), so the
network is written down once more in it.
"""

import time

import image_data
import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

SPARSITY = 0.5


def network(image_size, depth, weight_decay):
    """The plain residual network of `keras_growprune.models.resnet`."""
    layers = tf_keras.layers
    penalty = tf_keras.regularizers.L2(weight_decay)

    def convolution(x, filters, size, strides=1):
        x = layers.Conv2D(
            filters,
            size,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=penalty,
        )(x)
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)

    inputs = layers.Input((image_size, image_size, 3))
    x = layers.ReLU()(convolution(inputs, 16, 3))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            strides = 2 if stage and not block else 1
            y = layers.ReLU()(convolution(x, filters, 3, strides))
            y = convolution(y, filters, 3)
            if strides > 1:
                x = convolution(x, filters, 1, strides)
            x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return tf_keras.Model(
        inputs, layers.Dense(10, kernel_regularizer=penalty)(x)
    )


def train(task, seed):
    """Trains and prunes; returns a cell as `methods.cell_of` does.

    FLOPs stay those of the full network: zeros in a kernel save none.
    """
    tf_keras.utils.set_random_seed(seed)
    preset = task.preset
    model = network(preset.image_size, preset.depth, preset.weight_decay)
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

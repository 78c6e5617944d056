r"""Halves a network that plain Keras has trained to the end.

    python examples/prune_trained.py
    python examples/prune_trained.py --dataset=fashion_mnist --width=0.5
    python examples/prune_trained.py --strategy=mirrored

Trains a network as usual. Then `kgp.growable(network, start="weights")` makes
a growing model of it, which begins with all units and their weights, and a few
more epochs take it to the budget, while it learns what the trained network
answers. Prints what depends on what in the network, each epoch, and accuracy
and cost before and after.
"""

import pathlib

import image_data
import keras
import numpy as np
import strategies
import time_left
from absl import app
from absl import flags
from absl import logging

import keras_growprune as kgp

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(strategies)

flags.DEFINE_string(
    "dataset", "digits", "'digits', or the name of a TFDS image set."
)
flags.DEFINE_float("width", 1.0, "Factor on the widths of the network.")
flags.DEFINE_float("budget", 0.5, "FLOPs to keep, as a fraction.")
flags.DEFINE_integer("epochs", 15, "Epochs of the training.", lower_bound=1)
flags.DEFINE_integer(
    "pruning_epochs", 6, "Epochs with the budget.", lower_bound=1
)
flags.DEFINE_bool(
    "distillation", True, "Whether to learn from the trained network's answers."
)
flags.DEFINE_integer("batch_size", 64, "Batch size.", lower_bound=1)
flags.DEFINE_float("learning_rate", 0.05, "Initial learning rate.")
flags.DEFINE_float("pruning_rate", 0.02, "Initial rate with the budget.")
flags.DEFINE_integer("seed", 0, "Seed of weights, order and pruning.")
flags.DEFINE_string(
    "output",
    "pruned",
    "Folder for the pruned network. Several workers must see it: they read "
    "the trained network there.",
)


def network(shape, classes):
    """A residual network, written as anybody would write it."""
    layers = keras.layers
    inputs = keras.Input(shape)
    x = inputs
    for stage, filters in enumerate((16, 32, 64)):
        filters = max(1, round(filters * FLAGS.width))
        x = layers.Conv2D(
            filters, 3, strides=1 + (stage > 0), padding="same", use_bias=False
        )(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        x = layers.ReLU()(x + layers.BatchNormalization()(y))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


def train(model, data, strategy, epochs, learning_rate, verbose=0):
    """Trains a model; returns its test accuracy."""
    (images, labels), test = data
    batch_size, test_batch_size = (
        strategy.batch_size(len(x), FLAGS.batch_size) for x in (images, test[0])
    )
    steps = -(-len(images) // batch_size) * epochs
    with model.distribute_strategy.scope():
        model.compile(
            keras.optimizers.SGD(
                keras.optimizers.schedules.CosineDecay(learning_rate, steps),
                momentum=0.9,
                nesterov=True,
            ),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    history = model.fit(
        images,
        labels,
        batch_size=batch_size,
        epochs=epochs,
        validation_data=test,
        validation_batch_size=test_batch_size,
        verbose=verbose,
        callbacks=[time_left.TimeLeft()],
    )
    return history.history["val_accuracy"][-1]


def trained_network(data, strategy, folder):
    """`(the network to be pruned, its test accuracy)`."""
    (images, labels), _ = data
    shape, classes = images.shape[1:], int(np.max(labels)) + 1
    if strategy.trains_plain_networks:
        with strategy.scope():
            model = network(shape, classes)
        return model, train(
            model, data, strategy, FLAGS.epochs, FLAGS.learning_rate
        )

    # Plain Keras does not train under several workers: the chief trains it
    # for all, who then read the same weights.
    accuracy, path = None, folder / "trained.keras"
    if strategy.is_chief:
        print("several workers: worker 0 alone trains the network to be pruned")
        model = network(shape, classes)
        accuracy = train(
            model, data, strategy, FLAGS.epochs, FLAGS.learning_rate
        )
        folder.mkdir(parents=True, exist_ok=True)
        model.save(path)
    strategy.wait_for_all()
    # From here on all of them draw the same random numbers.
    keras.utils.set_random_seed(FLAGS.seed)
    return keras.models.load_model(path), accuracy


def prune(strategy):
    """Trains a network and prunes it."""
    keras.utils.set_random_seed(FLAGS.seed)
    data = strategy.load(lambda: image_data.load(FLAGS.dataset))
    folder = pathlib.Path(FLAGS.output)
    print(
        f"a plain network, {FLAGS.epochs} epochs of {len(data[0][0]):,} "
        f"images; then it is pruned in {FLAGS.pruning_epochs} more"
    )
    trained, before = trained_network(data, strategy, folder)

    with strategy.scope():
        model = kgp.growable(
            trained,
            kgp.Budget(flops=FLAGS.budget),
            start="weights",
            seed=FLAGS.seed,
            distillation=FLAGS.distillation or None,
        )
    print(model.coupling_report())
    after = train(
        model,
        data,
        strategy,
        FLAGS.pruning_epochs,
        FLAGS.pruning_rate,
        verbose=2,
    )
    model.structure_summary()

    if not strategy.is_chief:
        return
    small = model.compact()
    folder.mkdir(parents=True, exist_ok=True)
    small.save(folder / "pruned.keras")
    print(
        f"\n{'network':<10}{'test accuracy':>14}{'FLOPs':>12}{'parameters':>12}"
    )
    for name, accuracy, model in (
        ("trained", before, trained),
        ("pruned", after, small),
    ):
        print(
            f"{name:<10}{accuracy:>14.2%}{kgp.count_flops(model):>12,}"
            f"{model.count_params():>12,}"
        )
    print(f"wrote {folder / 'pruned.keras'}")


def main(argv):
    del argv
    logging.set_verbosity(logging.ERROR)
    strategies.run(prune)


if __name__ == "__main__":
    app.run(main)

r"""Grows an image classifier in one training, beside a full and a narrow one.

    python examples/image_classification.py
    python examples/image_classification.py --seeds=5
    python examples/image_classification.py --model=resnet8 --measure=flops \
        --budget=0.5 --width=1 --dataset=fashion_mnist
    python examples/image_classification.py --strategy=mirrored

Trains three networks the same way: the full network (by default a VGG-16 of
half width), the uniformly narrow one under the same budget (by default 5 % of
the parameters), and one that grows and prunes itself inside `fit`. Prints what
the network looks like after each epoch and a closing table, writes the grown
network as a SavedModel and as a plain `.keras` file, loads both back and checks
that they answer alike, and draws how it grew. Several workers, which go on from
a backup when one of them has died:

    python examples/launch_workers.py --workers=2 --restarts=3 -- \
        examples/image_classification.py --strategy=multi_worker \
        --backup=backups/run_1
"""

import pathlib
import sys
import time

import image_data
import keras
import numpy as np
import strategies
import tables
import tensorflow as tf
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
flags.DEFINE_integer("examples", None, "Train on the first ones only.")
flags.DEFINE_enum(
    "model",
    "vgg16",
    ["resnet8", "resnet14", "resnet20", "resnet56", "vgg16", "wrn16", "wrn28"],
    "Network; the wide ones are ten times as wide.",
)
flags.DEFINE_float("width", 0.5, "Factor on all widths of the network.")
flags.DEFINE_bool("skips", False, "Whether layers of a VGG-16 may leave.")
flags.DEFINE_float(
    "budget",
    0.05,
    "Cost of the final network, as a fraction of the full one's.",
)
flags.DEFINE_enum(
    "measure", "params", ["flops", "params", "latency"], "What is bounded."
)
flags.DEFINE_enum(
    "runtime",
    "tensorflow-train",
    ["tensorflow", "tensorflow-train", "litert"],
    "What a bound on latency is measured with.",
)
flags.DEFINE_string(
    "profile", None, "File of a device profile. Default: this machine's."
)
flags.DEFINE_enum("rule", "saliency", ["saliency", "paper"], "Growth rule.")
flags.DEFINE_integer("width_multiple", 1, "Widths are multiples of this.")
flags.DEFINE_integer("epochs", 30, "Epochs.", lower_bound=1)
flags.DEFINE_integer("batch_size", 64, "Batch size.", lower_bound=1)
flags.DEFINE_float("measuring_seconds", 60, "Time to measure a profile.")
flags.DEFINE_float("learning_rate", 0.05, "Initial learning rate.")
flags.DEFINE_enum(
    "decay",
    "cosine",
    ["cosine", "steps"],
    "Of the learning rate: a cosine, or to a tenth at 1/2 and at 3/4.",
)
flags.DEFINE_bool("augment", False, "Whether to shift and mirror images.")
flags.DEFINE_float("weight_decay", 5e-4, "L2 penalty on kernels.")
flags.DEFINE_integer("seed", 0, "Seed of weights, order and growing.")
flags.DEFINE_integer(
    "seeds", 1, "Trains so many times, from this seed on.", lower_bound=1
)
flags.DEFINE_string("output", "grown", "Folder for what is written.")
flags.DEFINE_bool("animation", False, "Whether to draw the growth moving.")
flags.DEFINE_string(
    "backup",
    None,
    "Folder for backups of the growing network, of this run alone: started "
    "again by the same command, it goes on after its last epoch (though the "
    "order of the images begins anew). All workers must see it.",
)


class PrintStructure(keras.callbacks.Callback):
    """One line per epoch: what the network looks like.

    Args:
        backup: The `BackupAndRestore` that runs before it, or None.
    """

    def __init__(self, backup=None):
        super().__init__()
        self._backup = backup

    def on_train_begin(self, logs=None):
        if self._backup and self._backup.restored_epoch:
            print(
                f"going on after epoch {self._backup.restored_epoch}",
                flush=True,
            )

    def on_epoch_end(self, epoch, logs=None):
        gates = self.model.structure.gates
        widths = "-".join(str(width) for width in self.model.widths.values())
        print(
            f"epoch {epoch + 1:3d}  {logs['cost']:6.1%} of full {FLAGS.measure}"
            f"  accuracy {logs['accuracy']:.3f}, "
            f"validation {logs['val_accuracy']:.3f}  "
            f"blocks {gates.sum()}/{gates.size}  widths {widths}"
            f"{'  settled' if logs['settled'] else ''}",
            flush=True,
        )


def network(shape, classes, width=1.0, growable=False):
    name = FLAGS.model
    arguments = dict(
        width=FLAGS.width * width,
        growable=growable,
        weight_decay=FLAGS.weight_decay,
    )
    if name == "vgg16":
        return kgp.models.vgg16(shape, classes, skips=FLAGS.skips, **arguments)
    depth = int(name.lstrip("resntw"))
    make = kgp.models.wide_resnet if name[0] == "w" else kgp.models.resnet
    return make(shape, classes, depth, **arguments)


def narrow_network(shape, classes, cost_of, limit):
    """The widest uniformly narrow network of at most `limit`, or None."""
    found, low, high = None, 0, 128  # in parts of the full width
    while low < high:
        middle = (low + high + 1) // 2
        model = keras.Model(*network(shape, classes, middle / 128))
        if cost_of(model) <= limit:
            found, low = model, middle
        else:
            high = middle - 1
    return found


def learning_rate(steps):
    """The learning rate over a training of so many steps."""
    first = FLAGS.learning_rate
    if FLAGS.decay == "cosine":
        return keras.optimizers.schedules.CosineDecay(first, steps)
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        [steps // 2, steps * 3 // 4], [first, first / 10, first / 100]
    )


def batches_of(images):
    """`(batch size, batches of an epoch)`: all of them are whole ones."""
    batch_size = min(FLAGS.batch_size, len(images))
    return batch_size, len(images) // batch_size


def train(model, data, seed, strategy, callbacks=()):
    """Trains a model; returns its test accuracy and the seconds it took."""
    (images, labels), test = data
    batch_size, steps = batches_of(images)
    batches = image_data.batches(
        images, labels, batch_size, seed, FLAGS.augment, drop_remainder=True
    )
    with strategy.scope():
        model.compile(
            keras.optimizers.SGD(
                learning_rate(steps * FLAGS.epochs),
                momentum=0.9,
                nesterov=True,
            ),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    test_batch_size = strategy.batch_size(len(test[0]))
    started = time.perf_counter()
    history = model.fit(
        strategy.prepared(batches),
        shuffle=False,  # they are shuffled already
        epochs=FLAGS.epochs,
        validation_data=test,
        validation_batch_size=test_batch_size,
        verbose=0,
        callbacks=[time_left.TimeLeft(), *callbacks],
    )
    seconds = time.perf_counter() - started
    # A run that goes on may have had its last epoch already.
    accuracies = history.history.get("val_accuracy")
    if accuracies is None:
        accuracies = [model.evaluate(*test, test_batch_size, verbose=0)[1]]
    return accuracies[-1], seconds


def device_profile(shape, classes):
    """The profile of the device that a bound on latency is meant for."""
    if FLAGS.profile:
        return kgp.DeviceProfile.load(FLAGS.profile)
    model = kgp.GrowPruneModel(
        *network(shape, classes, growable=True), kgp.Budget(flops=1.0)
    )
    batch_size = 1 if FLAGS.runtime == "litert" else FLAGS.batch_size
    seconds = time_left.time_text(FLAGS.measuring_seconds)
    print(f"measuring this machine, about {seconds}", flush=True)
    return kgp.DeviceProfile.measure(
        model, FLAGS.runtime, batch_size, FLAGS.measuring_seconds
    )


def print_table(rows):
    """Prints means over the seeds, and how far apart the seeds are.

    Args:
        rows: One dict for each network and seed; NaN where there is nothing
            to tell.
    """
    names = list(dict.fromkeys(row["name"] for row in rows))
    means = {
        name: {
            key: np.mean([row[key] for row in rows if row["name"] == name])
            for key in ("accuracy", "flops", "params", "training", "seconds")
        }
        for name in names
    }
    full = means[names[0]]
    print(
        f"\n{'network':<16}{'test accuracy':>20}{'FLOPs':>20}"
        f"{'parameters':>18}{'training FLOPs':>18}{'seconds':>16}"
    )
    for name, row in means.items():
        seeds = [each["accuracy"] for each in rows if each["name"] == name]
        accuracy = f"{row['accuracy']:.2%}"
        if np.isnan(row["accuracy"]):
            accuracy = "-"
        elif len(seeds) > 1:
            accuracy += f" +- {100 * np.std(seeds, ddof=1):.2f}"
        cells = [
            tables.cell(row[key], full[key], form)
            for key, form in (
                ("flops", ",.0f"),
                ("params", ",.0f"),
                ("training", ".3g"),
                ("seconds", ".1f"),
            )
        ]
        print(
            f"{name:<16}{accuracy:>20}{cells[0]:>20}{cells[1]:>18}"
            f"{cells[2]:>18}{cells[3]:>16}"
        )
    if len(rows) > len(names):
        print(
            f"means of {len(rows) // len(names)} seeds, and their standard "
            "deviation"
        )


def check_files(model, images, folder, strategy):
    """Writes the grown network, loads it back, compares the answers."""
    compact = model.compact()
    compact.save(folder / "compact.keras")
    model.export(folder / "saved_model", overwrite=True, verbose=False)
    expected = strategy.answers(model, images)
    plain = keras.models.load_model(folder / "compact.keras")
    served = tf.saved_model.load(str(folder / "saved_model"))
    answers = {
        "compact.keras": plain.predict(images, verbose=0),
        "saved_model": np.array(served(images)),
    }
    for name, answer in answers.items():
        difference = float(np.max(np.abs(answer - expected)))
        print(f"wrote {folder / name}: answers differ by {difference:.1e}")
        if difference > 1e-4:
            sys.exit(f"{name} does not answer like the trained network")


def draw_pictures(model, folder):
    """Draws how a network has grown, where matplotlib is installed."""
    try:
        kgp.plot_growth(model, folder / "growth.png")
        kgp.plot_structure(model, folder / "structure.png")
        if FLAGS.animation:
            kgp.animate_growth(model, folder / "growth.gif")
    except ImportError as error:
        print(f"left out the pictures: {error}")
        return
    print(f"drew the growth and the structure in {folder}")


def train_all(seed, profile, data, cost_of, strategy):
    """Trains the three networks, or those that can be.

    Args:
        seed: Seed of weights, order and growing.
        profile: A `DeviceProfile` or None.
        data: As `image_data.load` returns it.
        cost_of: Function of a model, its cost in what is bounded.
        strategy: A `strategies.Strategy`.

    Returns:
        `(rows of the table, networks by name)`.
    """
    (images, labels), _ = data
    shape, classes = images.shape[1:], int(labels.max()) + 1
    rows, networks = [], {}

    def row(name, model, training, accuracy, seconds):
        flops = kgp.count_flops(model)
        if training is None:
            batch_size, steps = batches_of(images)
            training = 3 * flops * batch_size * steps * FLAGS.epochs
        rows.append(
            dict(
                name=name,
                accuracy=accuracy,
                flops=flops,
                params=model.count_params(),
                training=training,
                seconds=seconds,
            )
        )

    keras.utils.set_random_seed(seed)
    with strategy.scope():
        networks["full"] = full = keras.Model(*network(shape, classes))
    limit = FLAGS.budget * cost_of(full)
    if strategy.trains_plain_networks:
        print(f"training the full network ({full.count_params():,} parameters)")
        row("full", full, None, *train(full, data, seed, strategy))
        with strategy.scope():
            narrow = narrow_network(shape, classes, cost_of, limit)
    else:
        print("several workers: plain Keras trains no full and no narrow one")
        row("full", full, None, np.nan, np.nan)
        narrow = None

    if narrow is not None:
        networks["uniformly narrow"] = narrow
        print(f"training the narrow one ({narrow.count_params():,} parameters)")
        keras.utils.set_random_seed(seed)
        result = train(narrow, data, seed, strategy)
        row("uniformly narrow", narrow, None, *result)
    elif strategy.trains_plain_networks:
        # Its layers alone may cost more time.
        print("no uniformly narrow network is within the budget")

    keras.utils.set_random_seed(seed)
    with strategy.scope():
        networks["grown"] = grown = kgp.GrowPruneModel(
            *network(shape, classes, growable=True),
            budget=kgp.Budget(**{FLAGS.measure: FLAGS.budget}, profile=profile),
            rule=FLAGS.rule,
            width_multiple=FLAGS.width_multiple,
        )
    print(f"growing one within {FLAGS.budget:.0%} of the {FLAGS.measure}")
    callbacks = [PrintStructure()]
    if FLAGS.backup:
        backup = kgp.callbacks.BackupAndRestore(FLAGS.backup)
        callbacks = [backup, PrintStructure(backup)]
    result = train(grown, data, seed, strategy, callbacks)
    training = grown.ledger.total("training_flops")
    row("grown", grown.compact(), training, *result)
    print()
    grown.structure_summary()
    return rows, networks


def check_flags(strategy):
    """Refuses flags that do not go together."""
    if FLAGS.backup and FLAGS.seeds > 1:
        raise app.UsageError("--backup is for one run: leave out --seeds.")
    if (
        FLAGS.measure == "latency"
        and not FLAGS.profile
        and strategy.workers > 1
    ):
        raise app.UsageError(
            "Each worker would measure another profile, and grow another "
            "network. Measure one first, and give it with --profile."
        )
    if FLAGS.batch_size < strategy.replicas:
        raise app.UsageError(
            f"--batch_size={FLAGS.batch_size} is fewer than one image for "
            f"each of {strategy.replicas} replicas."
        )


def compare_networks(strategy):
    """Trains the networks, and tells how they compare."""
    check_flags(strategy)
    data = strategy.load(lambda: image_data.load(FLAGS.dataset, FLAGS.seed))
    data = tuple(x[: FLAGS.examples] for x in data[0]), data[1]
    images, labels = data[0]
    profile = None
    if FLAGS.measure == "latency":
        profile = device_profile(images.shape[1:], int(labels.max()) + 1)
    cost_of = {
        "flops": kgp.count_flops,
        "params": lambda model: model.count_params(),
        "latency": lambda model: profile.milliseconds(model),
    }[FLAGS.measure]
    print(
        f"three networks, {FLAGS.epochs} epochs of {len(images):,} images "
        "each: the full one, a uniformly narrow one, and one that grows"
    )
    rows = []
    for seed in range(FLAGS.seed, FLAGS.seed + FLAGS.seeds):
        new, networks = train_all(seed, profile, data, cost_of, strategy)
        rows += new
    if not strategy.is_chief:
        return
    print_table(rows)
    folder = pathlib.Path(FLAGS.output)
    folder.mkdir(parents=True, exist_ok=True)
    print()
    check_files(networks["grown"], images[:256], folder, strategy)
    draw_pictures(networks["grown"], folder)
    # A profile from a file may be another machine's: no time to compare with.
    if profile is not None and not FLAGS.profile:
        print()
        grown = networks.pop("grown")
        plain = {
            name: strategy.on_one_device(network)
            for name, network in networks.items()
        }
        profile.check({**plain, "grown": grown.compact()})


def main(argv):
    del argv
    logging.set_verbosity(logging.ERROR)
    strategies.run(compare_networks)


if __name__ == "__main__":
    app.run(main)

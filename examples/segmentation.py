r"""Grows a network for semantic segmentation, from a set like PASCAL VOC 2012.

    python examples/segmentation.py --data=~/VOCdevkit/VOC2012 --size=128
    python examples/segmentation.py --data=voc --model=deeplab_v3 --size=513 \
        --backbone=grown_imagenet/compact.keras --precision=mixed_bfloat16 \
        --strategy=mirrored
    python examples/segmentation.py --data=DIR --networks=full,narrow,grown

Trains a U-Net or a DeepLabV3 (on a ResNet-50, or -101 with `--depth`), which
grows and prunes itself inside `fit`; with `--networks` also the full network
and the uniformly narrow one within the same budget, by the same schedule.
Reports the mean intersection over union (mIoU) on whole images of the list
`val`, without void pixels; writes the grown network as a SavedModel and as a
plain `.keras` file, and draws what it predicts.

`--backbone` is a classifier whose body and weights a DeepLabV3 begins with,
such as what `examples/imagenet.py` writes; from the whole of it the network is
then pruned, instead of grown from a seed.
"""

import pathlib

import compared
import keras
import numpy as np
import segmentation_data
import segmentation_pictures
import segmentation_training
import strategies
import tables
import time_left
from absl import app
from absl import flags
from absl import logging

import keras_growprune as kgp

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(compared)
flags.adopt_module_key_flags(strategies)

flags.DEFINE_string(
    "data",
    None,
    "Folder with JPEGImages, SegmentationClass and ImageSets, or above it; or "
    "'voc': PASCAL VOC 2012, downloaded by TFDS.",
    required=True,
)
flags.DEFINE_string("train", "train", "List of the images to train on.")
flags.DEFINE_enum("model", "unet", ["unet", "deeplab_v3"], "Network.")
flags.DEFINE_enum("depth", "50", ["50", "101"], "Depth of DeepLabV3's body.")
flags.DEFINE_string(
    "backbone", None, "File of a classifier whose body DeepLabV3 begins with."
)
flags.DEFINE_integer("filters", 16, "Filters of a U-Net's first level.")
flags.DEFINE_float("width", 1.0, "Factor on all widths of the network.")
flags.DEFINE_integer("size", 128, "Height and width of what is trained on.")
flags.DEFINE_integer("epochs", 50, "Epochs.", lower_bound=1)
flags.DEFINE_integer("batch_size", 16, "Batch size.", lower_bound=1)
flags.DEFINE_float(
    "learning_rate", 0.05, "Initial learning rate.", lower_bound=0.0
)
flags.DEFINE_float(
    "weight_decay", 1e-4, "L2 penalty on kernels.", lower_bound=0.0
)
flags.DEFINE_string(
    "output", "grown_segmentation", "Folder for what is written."
)


def network(classes, width=1.0, growable=False):
    """`(inputs, outputs)` of a network."""
    shape = (FLAGS.size, FLAGS.size, 3)
    arguments = dict(
        width=FLAGS.width * width,
        growable=growable,
        weight_decay=FLAGS.weight_decay,
    )
    if FLAGS.model == "unet":
        return kgp.models.unet(shape, classes, FLAGS.filters, **arguments)
    body = FLAGS.backbone and keras.models.load_model(FLAGS.backbone)
    return kgp.models.deeplab_v3(
        shape, classes, int(FLAGS.depth), backbone=body, **arguments
    )


def growing_network(classes):
    """The network that grows; or, with a trained body, that is pruned."""
    arguments = compared.growing_arguments()
    if FLAGS.backbone:
        plain = keras.Model(*network(classes))
        return kgp.growable(plain, start="weights", **arguments)
    return kgp.GrowPruneModel(*network(classes, growable=True), **arguments)


def train(model, training, strategy, callbacks=()):
    """Trains a model; returns the seconds that it took."""
    with strategy.scope():
        segmentation_training.compile_model(
            model, len(training) * FLAGS.epochs, FLAGS.learning_rate
        )
    _, seconds = segmentation_training.fit(
        model,
        strategy.prepared(training),
        FLAGS.epochs,
        callbacks=[time_left.TimeLeft(), *callbacks],
        verbose=2,
    )
    return seconds


def evaluate(model, evaluation, strategy):
    """Returns the mean IoU."""
    evaluation = strategy.prepared(evaluation)
    return model.evaluate(evaluation, verbose=0, return_dict=True)["miou"]


def row_of(name, model, training_flops, miou, seconds):
    """What the table says of a network."""
    return dict(
        name=name,
        miou=miou,
        flops=kgp.count_flops(model),
        params=model.count_params(),
        training=training_flops,
        seconds=seconds,
    )


def print_table(rows, full):
    """Prints what was reached, beside the full network as far as known."""
    print(
        f"\n{'network':<18}{'mIoU':>8}{'FLOPs':>26}{'parameters':>22}"
        f"{'training FLOPs':>18}{'seconds':>16}"
    )
    for row in rows:
        cells = [
            tables.cell(row[key], full.get(key, np.nan), form)
            for key, form in (
                ("flops", ",.0f"),
                ("params", ",.0f"),
                ("training", ".3g"),
                ("seconds", ".0f"),
            )
        ]
        print(
            f"{row['name']:<18}{row['miou']:>8.2%}{cells[0]:>26}"
            f"{cells[1]:>22}{cells[2]:>18}{cells[3]:>16}"
        )


def check_flags():
    """Refuses flags that do not go together."""
    if FLAGS.backbone and FLAGS.model != "deeplab_v3":
        raise app.UsageError(
            "--backbone is the body of a DeepLabV3: --model=deeplab_v3. "
            f"Received: --model={FLAGS.model}"
        )
    if FLAGS.backbone and "narrow" in FLAGS.networks:
        raise app.UsageError(
            "With --backbone there is no uniformly narrow network: the body "
            f"has the widths that it has. Received: --networks="
            f"{','.join(FLAGS.networks)}"
        )
    if FLAGS.backbone and not pathlib.Path(FLAGS.backbone).exists():
        raise app.UsageError(
            f"There is no such file. Received: --backbone={FLAGS.backbone}"
        )


def load():
    """`(training images, images for evaluation, number of classes)`."""
    try:
        folder = segmentation_data.folder_of(FLAGS.data)
        train = segmentation_data.load(folder, FLAGS.train)
        evaluation = segmentation_data.load(folder, "val")
        classes = max(train.count_classes(), evaluation.count_classes())
    except (OSError, ValueError) as error:
        raise app.UsageError(str(error)) from error
    both = set(train.images) & set(evaluation.images)
    if both:
        print(
            f"WARNING: {len(both)} of the {len(evaluation)} images that are "
            "evaluated are trained on too: their mIoU says nothing about "
            "other images.",
            flush=True,
        )
    print(
        f"{len(train)} images to train on, {len(evaluation)} to evaluate, "
        f"{classes} classes",
        flush=True,
    )
    return train, evaluation, classes


def batches(train_split, evaluation_split, strategy):
    """`(batches to train on, batches to evaluate)`."""
    if len(train_split) < FLAGS.batch_size:
        raise app.UsageError(
            f"--batch_size={FLAGS.batch_size} is more than the "
            f"{len(train_split)} images."
        )
    evaluated = strategy.batch_size(len(evaluation_split), FLAGS.batch_size)
    try:
        evaluation = segmentation_data.evaluation_batches(
            evaluation_split, FLAGS.size, evaluated
        )
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    training = segmentation_data.training_batches(
        train_split, FLAGS.size, FLAGS.batch_size, FLAGS.seed
    )
    return training, evaluation


def train_networks(strategy):
    """Trains the networks, and tells how they compare."""
    check_flags()
    compared.prepare(strategy)
    train_split, evaluation_split, classes = strategy.load(load)
    data = batches(train_split, evaluation_split, strategy)
    images = FLAGS.batch_size * len(data[0]) * FLAGS.epochs

    def plain(width=1.0):
        return keras.Model(*network(classes, width))

    def plain_row(name, model, trains=True):
        flops = 3 * images * kgp.count_flops(model)
        miou = seconds = np.nan
        if trains:
            print(f"training the {name} network", flush=True)
            seconds = train(model, data[0], strategy)
            miou = evaluate(model, data[1], strategy)
        return row_of(name, model, flops, miou, seconds)

    full = compared.made(strategy, plain)
    whole = plain_row("full", full, "full" in FLAGS.networks)
    rows = [whole] if "full" in FLAGS.networks else []
    if "narrow" in FLAGS.networks:
        narrow = compared.made(
            strategy, lambda: compared.narrow_network(plain, full)
        )
        rows.append(plain_row("uniformly narrow", narrow))
    if "grown" in FLAGS.networks:
        model = compared.made(strategy, lambda: growing_network(classes))
        rows.append(grow(model, data, strategy))
    print_table(rows, whole)
    if "grown" in FLAGS.networks and strategy.is_chief:
        draw(model, evaluation_split, data[1])


def grow(model, data, strategy):
    """Trains the network that grows, and writes it; returns its row."""
    print(f"growing within {FLAGS.budget:.0%} of {FLAGS.measure}", flush=True)
    backups = compared.backups()
    seconds = train(model, data[0], strategy, backups)
    if strategy.is_chief:  # before anything else may break off
        compared.write(model, FLAGS.output)
        compared.delete(backups)
    if any(backup.restored_epoch for backup in backups):
        seconds = model.ledger.total("seconds")  # also those before
    miou = evaluate(model, data[1], strategy)
    training = model.ledger.total("training_flops")
    return row_of("grown", model.compact(), training, miou, seconds)


def draw(model, split, batches):
    """Draws how the network grew, and what it predicts."""
    images, masks = next(iter(batches))
    small, folder = model.compact(), pathlib.Path(FLAGS.output)
    segmentation_pictures.draw(
        small, images, masks, split.palette(), folder / "predictions.png"
    )
    print(f"drew {folder / 'predictions.png'}")
    try:
        kgp.plot_growth(model, folder / "growth.png")
    except ImportError as error:
        print(f"left out the picture of growing: {error}")


def main(argv):
    if argv[1:]:
        raise app.UsageError(f"Expected: flags alone. Received: {argv[1:]}")
    logging.set_verbosity(logging.ERROR)
    strategies.run(train_networks)


if __name__ == "__main__":
    app.run(main)

r"""Grows a network for ImageNet, as it is trained in papers.

    python examples/imagenet.py --model=resnet50 --budget=0.5 \
        --precision=mixed_bfloat16 --strategy=mirrored --batch_size=1024 \
        --backup=backups/resnet50
    python examples/imagenet.py --model=mobilenet --width=1.0 --budget=0.5
    python examples/imagenet.py --size=64 --width=0.25 --epochs=3 \
        --steps_per_epoch=4

Trains a ResNet-50 or a MobileNet that grows and prunes itself inside `fit`: 90
epochs, five of warming up, then a cosine; label smoothing; parts of images cut
out at random and mirrored. With `--networks=full,narrow,grown` also the full
network and the uniformly narrow one within the same budget. Writes the grown
network as a SavedModel and as a plain `.keras` file, which
`examples/segmentation.py` takes as `--backbone`.

TFDS reads `imagenet2012`, whose archives must be fetched by hand. Where they
are missing, TFDS's own random pictures take their place, to try the program;
the names of folders then end in `_mock`.
"""

import compared
import imagenet_data
import keras
import strategies
import time_left
from absl import app
from absl import flags
from absl import logging

import keras_growprune as kgp

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(compared)
flags.adopt_module_key_flags(strategies)

flags.DEFINE_string("data", "imagenet2012", "A TFDS set of photographs.")
flags.DEFINE_enum("model", "resnet50", ["resnet50", "mobilenet"], "Network.")
flags.DEFINE_float("width", 1.0, "Factor on all widths of the network.")
flags.DEFINE_integer("size", 224, "Height and width of images.")
flags.DEFINE_integer("epochs", 90, "Epochs.", lower_bound=1)
flags.DEFINE_integer(
    "warmup_epochs", 5, "Epochs until the full rate.", lower_bound=0
)
flags.DEFINE_integer(
    "steps_per_epoch",
    None,
    "Steps of an epoch. Default: all images.",
    lower_bound=1,
)
flags.DEFINE_integer("batch_size", 256, "Batch size.", lower_bound=1)
flags.DEFINE_float(
    "learning_rate", 0.1, "Largest one, for 256 images.", lower_bound=0.0
)
flags.DEFINE_float(
    "weight_decay", 5e-5, "L2 penalty on kernels.", lower_bound=0.0
)
flags.DEFINE_float(
    "label_smoothing",
    0.1,
    "Share of the labels' mass.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_bool("cache", False, "Whether to keep all files in memory.")
flags.DEFINE_string("output", "grown_imagenet", "Folder for what is written.")
_IMAGENET_CLASSES = 1000
# Ends the names of folders for what random pictures were trained on.
_MOCK = "_mock"
# Multiply-adds of the networks at full width on 224 x 224, as published.
_PUBLISHED = {"resnet50": 4.1e9, "mobilenet": 0.57e9}


def network(classes, width=1.0, growable=False):
    """`(inputs, outputs)` of a network."""
    arguments = dict(
        input_shape=(FLAGS.size, FLAGS.size, 3),
        classes=classes,
        width=FLAGS.width * width,
        growable=growable,
        weight_decay=FLAGS.weight_decay,
    )
    if FLAGS.model == "resnet50":
        return kgp.models.bottleneck_resnet(depth=50, **arguments)
    return kgp.models.mobilenet(**arguments)


def check_published(full, classes):
    """Refuses a network that is not the one of the papers."""
    is_published = (FLAGS.width, FLAGS.size) == (1.0, 224)
    if is_published and classes == _IMAGENET_CLASSES:
        flops, published = kgp.count_flops(full), _PUBLISHED[FLAGS.model]
        if abs(flops - published) > 0.01 * published:
            raise RuntimeError(
                f"{FLAGS.model} must have {published:,.0f} FLOPs, as "
                f"published. It has {flops:,}."
            )


def compile_model(model, steps):
    """Compiles a model for epochs of so many steps."""
    warmup = min(FLAGS.warmup_epochs, FLAGS.epochs - 1) * steps
    rate = FLAGS.learning_rate * FLAGS.batch_size / 256
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else rate,
        max(FLAGS.epochs * steps - warmup, 1),
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )
    model.compile(
        keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True),
        keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=FLAGS.label_smoothing
        ),
        metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.TopKCategoricalAccuracy(5, name="top_5"),
        ],
    )


def train(model, data, steps, strategy, callbacks=()):
    """Trains a model."""
    with strategy.scope():
        compile_model(model, steps)
    batches = data.training_batches(
        FLAGS.size,
        FLAGS.batch_size,
        FLAGS.seed,
        FLAGS.cache,
        strategy.worker,
        strategy.workers,
    )
    model.fit(
        strategy.prepared(batches, is_dealt_out=True),
        epochs=FLAGS.epochs,
        steps_per_epoch=steps,
        shuffle=False,  # they are shuffled already
        verbose=2,
        callbacks=[time_left.TimeLeft(), *callbacks],
    )


def evaluate(model, data, strategy):
    """Returns the scores on the images that are kept for it."""
    evaluated = data.evaluation_batches(
        FLAGS.size,
        strategy.batch_size(data.count(training=False), FLAGS.batch_size),
    )
    return model.evaluate(
        strategy.prepared(evaluated), verbose=0, return_dict=True
    )


def print_row(name, model, scores, training_flops):
    """Says what a network has become."""
    print(
        f"{name}: top-1 {scores['accuracy']:.2%}, top-5 {scores['top_5']:.2%}, "
        f"{kgp.count_flops(model):,} FLOPs, {model.count_params():,} "
        f"parameters, {training_flops:.3g} training FLOPs",
        flush=True,
    )


def train_plain(name, model, data, steps, strategy):
    """Trains a network that stays as it is."""
    print(f"training the {name} network", flush=True)
    train(model, data, steps, strategy)
    scores = evaluate(model, data, strategy)
    images = steps * FLAGS.epochs * FLAGS.batch_size
    print_row(name, model, scores, 3 * images * kgp.count_flops(model))


def grow(data, steps, strategy):
    """Trains the network that grows, and writes it."""
    model = compared.made(
        strategy,
        lambda: kgp.GrowPruneModel(
            *network(data.classes, growable=True),
            **compared.growing_arguments(),
        ),
    )
    print(f"growing within {FLAGS.budget:.0%} of {FLAGS.measure}", flush=True)
    backups = compared.backups()
    train(model, data, steps, strategy, backups)
    if strategy.is_chief:  # before anything else may break off
        small, _ = compared.write(model, FLAGS.output)
        compared.delete(backups)
    scores = evaluate(model, data, strategy)
    if not strategy.is_chief:
        return
    training = model.ledger.total("training_flops")
    share = training / model.ledger.total("full_training_flops")
    print_row("grown", small, scores, training)
    print(f"training took {share:.2f} of the full network's FLOPs")


def train_networks(strategy):
    """Trains the networks that `--networks` names."""
    compared.prepare(strategy)
    data = strategy.load(lambda: imagenet_data.PhotographSet(FLAGS.data))
    if data.is_mock:  # what comes of it must not take the place of anything
        FLAGS.output += _MOCK
        FLAGS.backup = FLAGS.backup and FLAGS.backup + _MOCK
    steps = FLAGS.steps_per_epoch or max(data.count() // FLAGS.batch_size, 1)

    def plain(width=1.0):
        return keras.Model(*network(data.classes, width))

    full = compared.made(strategy, plain)
    check_published(full, data.classes)
    if "full" in FLAGS.networks:
        train_plain("full", full, data, steps, strategy)
    if "narrow" in FLAGS.networks:
        narrow = compared.made(
            strategy, lambda: compared.narrow_network(plain, full)
        )
        train_plain("uniformly narrow", narrow, data, steps, strategy)
    if "grown" in FLAGS.networks:
        grow(data, steps, strategy)


def main(argv):
    if argv[1:]:
        raise app.UsageError(f"Expected: flags alone. Received: {argv[1:]}")
    logging.set_verbosity(logging.ERROR)
    strategies.run(train_networks)


if __name__ == "__main__":
    app.run(main)

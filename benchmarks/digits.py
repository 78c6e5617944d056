r"""Choices that were made on held-out digits: the main job, the schedule.

    python benchmarks/digits.py --budgets=0.02,0.05
    python benchmarks/digits.py --model=resnet8 --width=1 --measure=flops \
        --budgets=0.5 --epochs=6 --schedules=1:0.45,1:0.3,0.25:0.45

Trains on three quarters of the main job's training images and validates on the
rest, another quarter for each seed; the test images are never looked at.
Prints, for each budget, the full, the uniformly narrow and the grown network;
and for each schedule (`restructure_every:settle_at`) the grown network, paired
by seed with the first one. What follows +- is half of a 95 % interval.
"""

import pathlib
import statistics
import sys
import time

import keras
import numpy as np
from absl import app
from absl import flags
from report import half_interval
from sklearn.model_selection import StratifiedKFold

import keras_growprune as kgp

sys.path.append(str(pathlib.Path(__file__).parents[1] / "examples"))

import image_data  # noqa: E402

FLAGS = flags.FLAGS
BATCH = 64
flags.DEFINE_enum("model", "vgg16", ["vgg16", "resnet8"], "Network.")
flags.DEFINE_float("width", 0.5, "Factor on all widths.")
flags.DEFINE_enum("measure", "params", ["params", "flops"], "What is bounded.")
flags.DEFINE_list("budgets", ["0.05"], "Budgets, as fractions.")
flags.DEFINE_list("schedules", [], "restructure_every:settle_at, or none.")
flags.DEFINE_integer("epochs", 30, "Epochs.")
flags.DEFINE_integer("seeds", 5, "Seeds.")


def network(width=1.0, growable=False):
    arguments = dict(
        input_shape=(8, 8, 1),
        classes=10,
        width=FLAGS.width * width,
        growable=growable,
        weight_decay=5e-4,
    )
    if FLAGS.model == "vgg16":
        return kgp.models.vgg16(skips=False, **arguments)
    return kgp.models.resnet(depth=8, **arguments)


def cost(model):
    if FLAGS.measure == "params":
        return model.count_params()
    return kgp.count_flops(model)


def narrow(limit):
    """The widest uniformly narrow network within the budget."""
    low, high = 1, 128
    while low < high:
        middle = (low + high + 1) // 2
        fits = cost(keras.Model(*network(middle / 128))) <= limit
        low, high = (middle, high) if fits else (low, middle - 1)
    return keras.Model(*network(low / 128))


def grown(budget, schedule=None, seed=0):
    return kgp.GrowPruneModel(
        *network(growable=True),
        kgp.Budget(**{FLAGS.measure: budget}),
        schedule=schedule,
        seed=seed,
    )


def held_out(seed):
    """`(images, labels)` to train on, and to validate on."""
    (images, labels), _ = image_data.load("digits")
    folds = StratifiedKFold(4, shuffle=True, random_state=seed)
    train, rest = next(iter(folds.split(images, labels)))
    return (images[train], labels[train]), (images[rest], labels[rest])


def train(model, seed):
    """Trains as the main job does; returns accuracy, loss and seconds."""
    (x, y), validation = held_out(seed)
    steps = -(-len(x) // BATCH) * FLAGS.epochs
    rate = keras.optimizers.schedules.CosineDecay(0.05, steps)
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    started = time.perf_counter()
    model.fit(x, y, batch_size=BATCH, epochs=FLAGS.epochs, verbose=0)
    seconds = time.perf_counter() - started
    logits = model.predict(validation[0], verbose=0)
    chances = keras.ops.log_softmax(logits)
    picked = np.take_along_axis(np.array(chances), validation[1][:, None], 1)
    right = np.argmax(logits, axis=1) == validation[1]
    return 100 * np.mean(right), -np.mean(picked), seconds


def run(make):
    """Trains one network for each seed; returns columns of results."""
    rows = []
    for seed in range(FLAGS.seeds):
        keras.utils.set_random_seed(seed)
        model = make(seed)
        result = train(model, seed)
        grows = isinstance(model, kgp.GrowPruneModel)
        plain = model.compact() if grows else model
        rows.append((*result, kgp.count_flops(plain), plain.count_params()))
        keras.backend.clear_session()
    return list(zip(*rows))


def show(name, columns, full=None, first=None):
    accuracy, loss, seconds, flops, params = columns
    text = (
        f"{name:<18} accuracy {statistics.mean(accuracy):.2f} +- "
        f"{half_interval(accuracy):.2f}, loss {statistics.mean(loss):.4f}, "
        f"{statistics.mean(seconds):.1f} s"
    )
    if full is not None:
        text += (
            f", FLOPs {statistics.mean(flops) / full[3][0]:.3f}, parameters "
            f"{statistics.mean(params) / full[4][0]:.3f}"
        )
    if first is not None:
        for label, mine, theirs in (
            ("accuracy", accuracy, first[0]),
            ("loss", loss, first[1]),
        ):
            differences = [a - b for a, b in zip(mine, theirs)]
            text += (
                f"; {label} {statistics.mean(differences):+.3f} +- "
                f"{half_interval(differences):.3f}"
            )
    print(text, flush=True)


def main(argv):
    del argv
    whole = keras.Model(*network())
    print(f"{FLAGS.model}, width {FLAGS.width}, {FLAGS.epochs} epochs")
    full = None
    for budget in map(float, FLAGS.budgets):
        if FLAGS.schedules:
            first = None
            for text in FLAGS.schedules:
                every, settle = map(float, text.split(":"))
                schedule = kgp.GrowthSchedule.around(
                    budget, restructure_every=every, settle_at=settle
                )
                columns = run(
                    lambda seed, b=budget, s=schedule: grown(b, s, seed)
                )
                show(f"{budget}, {text}", columns, first=first)
                first = first or columns
            continue
        if full is None:
            full = run(lambda seed: keras.Model(*network()))
            show("full", full, full)
        limit = budget * cost(whole)
        uniform = run(lambda seed, n=limit: narrow(n))
        show(f"narrow, {budget}", uniform, full)
        columns = run(lambda seed, b=budget: grown(b, seed=seed))
        show(f"grown, {budget}", columns, full, uniform)


if __name__ == "__main__":
    app.run(main)

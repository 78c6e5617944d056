r"""What growing costs: step, restructuring, retracing, memory.

    python benchmarks/restructure.py
    python benchmarks/restructure.py --model=lstm --batch_size=20

Prints, for a ResNet-20 on 32 x 32 images, or for the small LSTM network of
Zaremba et al. (2014) on 20 steps of 10,000 words: the time of a training step
at full, half and quarter width (and of the plain Keras model), the time of a
restructuring and of the retracing that follows, and how much host memory 100
restructurings leave behind. The models are timed in turn, block by block, so
that a load on the machine hits all alike; the speeds are medians and quartiles
over the blocks.
"""

import platform
import statistics
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags

import keras_growprune as kgp

FLAGS = flags.FLAGS
BLOCK = 5
WORDS = 10_000
flags.DEFINE_enum("model", "resnet20", ["resnet20", "lstm"], "Network.")
flags.DEFINE_integer("batch_size", 128, "Batch size.")
flags.DEFINE_integer("steps", 100, "Timed steps of each model.")
flags.DEFINE_integer("restructures", 100, "Restructurings.")
flags.DEFINE_integer("epoch_steps", 390, "Steps that count as an epoch.")


def resident_mebibytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def compiled(model):
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def uniform(model, fraction):
    """The structure with the first units of each group."""
    units = np.zeros(model.structure.units.shape, bool)
    for group in model.groups:
        width = max(1, round(group.size * fraction))
        units[group.start : group.start + width] = True
    return kgp.Structure(units, np.ones(model.structure.gates.shape, bool))


def network(growable=True):
    if FLAGS.model == "lstm":
        return kgp.models.lstm_language_model(
            WORDS, batch_size=FLAGS.batch_size, growable=growable
        )
    return kgp.models.resnet(depth=20, growable=growable)


def growable(fraction):
    model = kgp.GrowPruneModel(*network(), kgp.Budget(flops=0.5), seed=0)
    model.restructure(uniform(model, fraction))
    return compiled(model)


def batches():
    random, count = np.random.default_rng(0), FLAGS.batch_size
    if FLAGS.model == "lstm":
        words = random.integers(0, WORDS, (count, 21)).astype("int32")
        examples = words[:, :-1], words[:, 1:]
    else:
        images = random.random((count, 32, 32, 3), dtype="float32")
        examples = images, random.integers(0, 10, count)
    data = tf.data.Dataset.from_tensors(examples).repeat()
    return data, iter(data)


def timed(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def step(model, iterator):
    """One training step, to its end: TensorFlow may return earlier."""
    return float(model.train_function(iterator)["loss"])


def time_steps(models, data, iterator):
    """Seconds of a step, one for each of many blocks, by the model.

    The models take turns. A block, since a call may return before all of its
    work is done, which then counts for the next call.
    """
    for model in models.values():  # one real epoch: builds and traces
        # The first of many, so that the width stays as it was set.
        grows = isinstance(model, kgp.GrowPruneModel)
        more = {"growth_epochs": 1000} if grows else {}
        model.fit(data, steps_per_epoch=3, epochs=1, verbose=0, **more)
    seconds = {name: [] for name in models}
    for _ in range(max(FLAGS.steps // BLOCK, 1)):
        for name, model in models.items():
            step(model, iterator)
            started = time.perf_counter()
            for _ in range(BLOCK):
                step(model, iterator)
            seconds[name].append((time.perf_counter() - started) / BLOCK)
    return seconds


def ratios(one, other):
    """Quartiles of the ratios of two models' seconds, block by block."""
    return statistics.quantiles([a / b for a, b in zip(one, other)])


def time_restructure(model, structure):
    """Seconds of a whole restructuring, and without renewing functions."""
    growth = model._growth  # to time the parts; users call `restructure`
    renew, renewing = growth._renew_functions, []
    growth._renew_functions = lambda: renewing.append(timed(renew))
    try:
        whole = timed(lambda: model.restructure(structure))
    finally:
        growth._renew_functions = renew
    return whole, whole - sum(renewing)


def time_restructures(model, iterator):
    structures = [uniform(model, 0.5), uniform(model, 0.55)]
    whole, change, first, memory = [], [], [], []
    for index in range(1, FLAGS.restructures + 1):
        seconds = time_restructure(model, structures[index % 2])
        whole.append(seconds[0])
        change.append(seconds[1])
        first.append(timed(lambda: step(model, iterator)))
        step(model, iterator)
        memory.append(resident_mebibytes())
    return whole, change, first, memory


def main(argv):
    del argv
    data, iterator = batches()
    plain = compiled(keras.Model(*network(growable=False)))
    models = {
        "plain Keras model": plain,
        "full width": growable(1.0),
        "half width": growable(0.5),
        "quarter width": growable(0.25),
    }
    blocks = time_steps(models, data, iterator)
    seconds = {name: statistics.median(s) for name, s in blocks.items()}
    print(
        f"Keras {keras.__version__}, TensorFlow {tf.__version__}, Python "
        f"{platform.python_version()}, {platform.machine()}; {FLAGS.model}, "
        f"batch {FLAGS.batch_size}, median of {FLAGS.steps} steps"
    )
    for name, value in seconds.items():
        low, speed, high = ratios(blocks["full width"], blocks[name])
        print(
            f"step, {name:<18} {value * 1e3:8.1f} ms  speed {speed:.2f} "
            f"({low:.2f} to {high:.2f})"
        )
    low, middle, high = ratios(
        blocks["plain Keras model"], blocks["full width"]
    )
    print(
        "speed of full width relative to the plain model: "
        f"{middle:.3f} ({low:.3f} to {high:.3f})"
    )

    whole, change, first, memory = time_restructures(
        models["half width"], iterator
    )
    one_step = seconds["half width"]
    restructure = statistics.median(change)
    retrace = statistics.median(first) - one_step
    together = statistics.median(whole) + retrace
    epoch = FLAGS.epoch_steps * seconds["full width"]
    print(f"restructuring without retracing {restructure:.3f} s")
    steps = retrace / one_step
    print(f"retracing {retrace:.2f} s, {steps:.1f} steps of half width")
    print(
        f"both, and giving memory back: {together:.2f} s, "
        f"{together / epoch:.2%} of {FLAGS.epoch_steps} steps at full width"
    )
    late = memory[len(memory) // 5 :]
    growth = (late[-1] - late[0]) / max(len(late) - 1, 1)
    print(
        f"host memory: {memory[0]:.0f} MiB after the first restructuring, "
        f"{memory[-1]:.0f} MiB after {len(memory)}: {growth:.2f} MiB each"
    )


if __name__ == "__main__":
    app.run(main)

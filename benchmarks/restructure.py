r"""What growing costs: steps, changes of structure, traces, memory.

    python benchmarks/restructure.py
    python benchmarks/restructure.py --model=resnet50 --batch_size=32
    python benchmarks/restructure.py --model=lstm --batch_size=20

Prints, for a ResNet-20 on 32 x 32 images, a ResNet-50 on 64 x 64, or the small
LSTM network of Zaremba et al. (2014) on 20 steps of 10,000 words: the time of a
training step in the one trace that serves all widths, at full, half and
quarter width, beside that of a step which was traced for its width alone, and
of the plain Keras model; the time of a change of structure, and of the step
after it; and how much host memory many changes leave behind. The models are
timed in turn, block by block, so that a load on the machine hits all alike; the
speeds are medians and quartiles over the blocks.
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
WIDTHS = {"full": 1.0, "half": 0.5, "quarter": 0.25}
flags.DEFINE_enum(
    "model", "resnet20", ["resnet20", "resnet50", "lstm"], "Network."
)
flags.DEFINE_integer("batch_size", 128, "Batch size.")
flags.DEFINE_integer("steps", 100, "Timed steps of each model.")
flags.DEFINE_integer("restructures", 300, "Changes of structure.")
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


def plain_network():
    if FLAGS.model == "lstm":
        return keras.Model(
            *kgp.models.lstm_language_model(
                WORDS, batch_size=FLAGS.batch_size, growable=False
            )
        )
    if FLAGS.model == "resnet50":
        return keras.applications.ResNet50(
            weights=None,
            input_shape=(64, 64, 3),
            classes=10,
            classifier_activation=None,
        )
    return keras.Model(*kgp.models.resnet(depth=20, growable=False))


def growing(fraction, one_trace=True):
    budget = kgp.Budget(flops=0.5)
    if FLAGS.model == "lstm":
        network = kgp.models.lstm_language_model(
            WORDS, batch_size=FLAGS.batch_size
        )
        model = kgp.GrowPruneModel(*network, budget, seed=0)
    elif FLAGS.model == "resnet50":
        model = kgp.growable(plain_network(), budget, seed=0)
    else:
        network = kgp.models.resnet(depth=20)
        model = kgp.GrowPruneModel(*network, budget, seed=0)
    if not one_trace:  # as where a layer needs known widths
        trace = model._growth.network.one_trace
        trace.give_up("benchmark", "known widths, to compare with")
    model.restructure(uniform(model, fraction))
    return compiled(model)


def batches():
    random, count = np.random.default_rng(0), FLAGS.batch_size
    if FLAGS.model == "lstm":
        words = random.integers(0, WORDS, (count, 21)).astype("int32")
        examples = words[:, :-1], words[:, 1:]
    else:
        size = 64 if FLAGS.model == "resnet50" else 32
        images = random.random((count, size, size, 3), dtype="float32")
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


def start(model, data):
    """One short epoch: builds and traces, and leaves the width as it is."""
    grows = isinstance(model, kgp.GrowPruneModel)
    more = {"growth_epochs": 1000} if grows else {}
    model.fit(data, steps_per_epoch=3, epochs=1, verbose=0, **more)


def time_steps(models, iterator):
    """Seconds of a step, one for each of many blocks, by the model.

    A block, since a call may return before all of its work is done, which
    then counts for the next call.
    """
    seconds = {name: [] for name in models}
    for _ in range(max(FLAGS.steps // BLOCK, 2)):
        for name, model in models.items():
            step(model, iterator)
            started = time.perf_counter()
            for _ in range(BLOCK):
                step(model, iterator)
            seconds[name].append((time.perf_counter() - started) / BLOCK)
    return seconds


def speed(base, other):
    """Quartiles of the ratios of two models' seconds, block by block."""
    low, middle, high = statistics.quantiles(
        [a / b for a, b in zip(base, other)]
    )
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def compare_steps(data, iterator):
    """Steps of one width in turn: plain Keras, a trace of its own, the one.

    Returns:
        `(the growing model of half width, seconds of its step, seconds of a
        step at full width)`.
    """
    one_trace = growing(1.0)
    start(one_trace, data)
    seconds = {}
    for name, fraction in WIDTHS.items():
        models = {"own trace": growing(fraction, one_trace=False)}
        if name == "full":
            models["plain Keras"] = compiled(plain_network())
        for model in models.values():
            start(model, data)
        one_trace.restructure(uniform(one_trace, fraction))
        models["one trace"] = one_trace
        found = time_steps(models, iterator)
        for kind, values in found.items():
            seconds[name, kind] = statistics.median(values)
            print(
                f"{name:<8} width, {kind:<12}"
                f"{seconds[name, kind] * 1e3:9.1f} ms, relative to a trace of "
                f"its own {speed(found['own trace'], values)}",
                flush=True,
            )
        if name == "full":
            print(
                "the one trace, relative to plain Keras: "
                f"{speed(found['plain Keras'], found['one trace'])}"
            )
        del models
    one_trace.restructure(uniform(one_trace, 0.5))
    step(one_trace, iterator)
    traces = one_trace.ledger.total("traces")
    print(f"traces of all kinds for these widths: {traces:.0f}")
    return one_trace, seconds["half", "one trace"], seconds["full", "one trace"]


def main(argv):
    del argv
    data, iterator = batches()
    print(
        f"Keras {keras.__version__}, TensorFlow {tf.__version__}, Python "
        f"{platform.python_version()}, {platform.machine()}; {FLAGS.model}, "
        f"batch {FLAGS.batch_size}, medians of {FLAGS.steps} steps, quartiles "
        f"over blocks of {BLOCK}"
    )
    model, half, full = compare_steps(data, iterator)
    structures = [uniform(model, 0.5), uniform(model, 0.55)]
    change, after, ordinary, memory = [], [], [], []
    for index in range(1, FLAGS.restructures + 1):
        structure = structures[index % 2]
        change.append(timed(lambda s=structure: model.restructure(s)))
        after.append(timed(lambda: step(model, iterator)))
        ordinary.append(timed(lambda: step(model, iterator)))
        memory.append(resident_mebibytes())
    together = statistics.median(a + b for a, b in zip(change, after))
    one_step = statistics.median(ordinary)
    print(
        f"change {statistics.median(change):.3f} s, the step after it "
        f"{statistics.median(after):.3f} s, an ordinary one {one_step:.3f} s: "
        f"{together - 1.2 * one_step:+.3f} s beyond 1.2 steps"
    )
    extra = statistics.median(
        a + b - c for a, b, c in zip(change, after, ordinary)
    )
    print(
        f"what one change adds: {extra:.3f} s, {extra / half:.2f} steps of "
        f"half width, {extra / (FLAGS.epoch_steps * full):.2%} of "
        f"{FLAGS.epoch_steps} steps at full width"
    )
    late = memory[len(memory) // 5 :]
    growth = (late[-1] - late[0]) / max(len(late) - 1, 1)
    print(
        f"host memory: {memory[0]:.0f} MiB after the first change, "
        f"{memory[-1]:.0f} MiB after {len(memory)}: {growth:.3f} MiB each"
    )


if __name__ == "__main__":
    app.run(main)

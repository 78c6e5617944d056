r"""What growing the papers' large networks takes, at their full sizes.

    python benchmarks/large_networks.py
    python benchmarks/large_networks.py --memory
    python benchmarks/large_networks.py --input_pipeline

The first one builds each network at its full input size, changes it to a random
structure and compares what the compact network answers; then it grows it under
half of the FLOPs, on small images (decisions and changes do not depend on their
size), and tells what the changes of structure took, and which share of the full
network's weights was on the device: while the growing model was made of a
network in the host's memory, and in training. `--memory` measures the largest
resident memory in an epoch of a ResNet-50, each network in a process of its
own, and how many images a second it trains on.
`--input_pipeline` measures how many photographs a second one core prepares.
"""

import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import keras
import memory
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from absl import logging

import keras_growprune as kgp

FLAGS = flags.FLAGS
_SIZES = {
    "resnet_50": (224, 64),
    "mobilenet": (224, 64),
    "wrn_28_10": (32, 32),
    "deeplab_v3_resnet_101": (513, 65),
}
_MEMORY = (
    "full, plain Keras",
    "full, growing",
    "quarter, growing",
    "quarter, plain Keras",
)
flags.DEFINE_list("networks", list(_SIZES), "Networks.")
flags.DEFINE_integer("periods", 9, "Changes until the structure is settled.")
flags.DEFINE_bool("memory", False, "Measure memory instead.")
flags.DEFINE_bool("input_pipeline", False, "Measure the input instead.")
flags.DEFINE_integer("batch_size", 32, "Images in a step, for memory.")
flags.DEFINE_enum("case", None, _MEMORY, "Set by this program itself.")
flags.DEFINE_integer("files", 512, "Photographs, for the input.")
# Stands for the host's memory, where the first CPU stands for the device.
_HOST = "CPU:1"


def network(name, size, growable=True):
    shape = (size, size, 3)
    if name == "resnet_50":
        return kgp.models.bottleneck_resnet(shape, growable=growable)
    if name == "mobilenet":
        return kgp.models.mobilenet(shape, growable=growable)
    if name == "wrn_28_10":
        return kgp.models.wide_resnet(shape, growable=growable)
    return kgp.models.deeplab_v3(shape, depth=101, growable=growable)


def growing(given, **kwargs):
    model = kgp.GrowPruneModel(*given, kgp.Budget(flops=0.5), seed=0, **kwargs)
    return compiled(model)


def growing_from_host(name, size):
    """Also entries of the variables that the device got meanwhile."""
    with tf.device(_HOST):
        given = network(name, size)
    sizes = []

    def create(next_creator, **arguments):
        variable = next_creator(**arguments)
        if not variable.device.endswith(_HOST):
            sizes.append(math.prod(variable.value().shape))
        return variable

    with tf.variable_creator_scope(create):
        model = growing(given)
    return model, sum(sizes)


def compiled(model):
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def examples(model, count):
    random = np.random.default_rng(0)
    images = random.normal(size=(count, *model.input_shape[1:]))
    labels = random.integers(0, 10, (count, *model.output_shape[1:-1]))
    return images.astype("float32"), labels


def random_structure(model, random):
    units = random.random(model.structure.units.shape) < 0.6
    for group in model.groups:
        units[group.start + random.integers(group.size)] = True
    gates = random.random(model.structure.gates.shape) < 0.6
    return kgp.Structure(units, gates)


def compact_error(model):
    """Largest difference to the compact network, of the largest output."""
    random = np.random.default_rng(0)
    for variable in model.variables:  # so that an error would show
        if variable.name == "moving_variance":
            variable.assign(random.uniform(2.0, 4.0, variable.shape))
        elif variable.name in ("beta", "moving_mean"):
            variable.assign(random.normal(0, 0.1, variable.shape))
    images, _ = examples(model, 1)
    answers = np.array(model(images, training=False))
    others = np.array(model.compact()(images, training=False))
    return np.max(np.abs(answers - others)) / np.max(np.abs(answers))


class Seconds(keras.callbacks.Callback):
    """Notes how long each step took."""

    def on_train_begin(self, logs=None):
        self.steps = []

    def on_train_batch_begin(self, batch, logs=None):
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])  # to its end
        self.steps.append(time.perf_counter() - self._started)


def measure_growing(name):
    """Prints a row about one network."""
    full_size, small_size = _SIZES[name]
    started = time.perf_counter()
    model = growing(network(name, full_size))
    built = time.perf_counter() - started
    full = keras.Model(*network(name, full_size, growable=False))
    random = np.random.default_rng(1)
    model.restructure(random_structure(model, random))
    error = compact_error(model)
    params, flops = full.count_params(), kgp.count_flops(full)
    del model, full

    model, made = growing_from_host(name, small_size)
    epochs, counts = 2 * FLAGS.periods + 2, []
    count = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: counts.append(model.count_params())
    )
    model.fit(
        *examples(model, 8),
        batch_size=2,
        epochs=epochs // 2,
        growth_epochs=epochs,
        verbose=0,
        callbacks=[count],
    )
    changes = [
        record["restructure_seconds"] for record in model.ledger.epochs[1:]
    ]
    changes = [seconds for seconds in changes if seconds > 0.001]
    print(
        f"| {name} | {flops / 1e9:.2f} | {params / 1e6:.1f} | {built:.1f} | "
        f"{statistics.median(changes):.2f} | {max(changes):.2f} | "
        f"{len(changes)} | {made / params:.2f} | "
        f"{max(counts) / params:.2f} | {error:.0e} |",
        flush=True,
    )


def measure_memory_of(case):
    """Prints the memory before there is a network, the most in training, and
    milliseconds of a step."""
    before = memory.resident_mib()
    share = 1.0 if case.startswith("full") else 0.25
    if case == "full, plain Keras":
        model = keras.Model(*network("resnet_50", 224, growable=False))
    else:
        # The seed network is what is trained in the first epoch.
        schedule = kgp.GrowthSchedule(seed_fraction=share, peak=1.0)
        model = growing(network("resnet_50", 224), schedule=schedule)
    more = {"growth_epochs": 1000}
    if "plain" in case:
        model, more = compiled(model.compact() if share < 1 else model), {}
    data = examples(model, FLAGS.batch_size)
    data = tf.data.Dataset.from_tensors(data).repeat(5)
    seconds = Seconds()
    more.update(verbose=0, shuffle=False, callbacks=[seconds])
    memory.forget_peak()
    model.fit(data, epochs=1, **more)
    one_step = statistics.median(seconds.steps[1:])  # the first one is traced
    print(before, memory.peak_mib(), round(1000 * one_step), flush=True)


def measure_memory():
    found = {}
    for case in _MEMORY:
        output = subprocess.run(
            [sys.executable, __file__, f"--case={case}", *sys.argv[1:]],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        before, most, step = map(int, output.split()[-3:])
        found[case] = np.array([most - before, step])
        shares = found[case] / found[_MEMORY[0]]
        print(
            f"{case:<22}{most:>8,} MiB, {before} of them before: "
            f"{shares[0]:.2f}; {1000 * FLAGS.batch_size / step:6.1f} images a "
            f"second, a step {shares[1]:.2f}",
            flush=True,
        )


def photographs(count):
    """JPEG files of 500 x 375, as large as many of ImageNet."""
    random = np.random.default_rng(0)
    files = []
    for _ in range(count):
        coarse = random.integers(0, 256, (24, 32, 3)).astype("float32")
        image = tf.image.resize(coarse, (375, 500), "bicubic")
        image += random.normal(0, 12, (375, 500, 3))
        image = tf.cast(tf.clip_by_value(image, 0, 255), tf.uint8)
        files.append(tf.io.encode_jpeg(image, quality=88).numpy())
    return files


def measure_input():
    """Prints how many images a second the ImageNet example prepares."""
    sys.path.append(str(pathlib.Path(__file__).parents[1] / "examples"))
    import imagenet_data

    tf.config.threading.set_intra_op_parallelism_threads(1)
    files = photographs(FLAGS.files)
    size = statistics.mean(map(len, files)) / 1000
    options = tf.data.Options()
    rates = {}
    for cores in range(1, (os.cpu_count() or 1) + 1):
        options.threading.private_threadpool_size = cores
        for name, picture in (
            ("training", imagenet_data.cut_out),
            ("evaluation", imagenet_data.middle),
        ):
            data = tf.data.Dataset.from_tensor_slices(files).repeat(3)
            data = data.map(
                lambda file, picture=picture: picture(file, 224),
                num_parallel_calls=cores,
                deterministic=False,
            )
            data = data.batch(64).prefetch(2).with_options(options)
            started = time.perf_counter()
            count = sum(len(batch) for batch in data)
            rates[name] = count / (time.perf_counter() - started)
        print(
            f"{cores} core(s), files of {size:.0f} kB: "
            + ", ".join(f"{rate:.0f} {name}" for name, rate in rates.items())
            + " images a second",
            flush=True,
        )


def main(argv):
    del argv
    logging.set_verbosity(logging.ERROR)
    if FLAGS.case:
        measure_memory_of(FLAGS.case)
        return
    print(
        f"Keras {keras.__version__}, TensorFlow {tf.__version__}, Python "
        f"{platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} cores"
    )
    if FLAGS.memory:
        measure_memory()
    elif FLAGS.input_pipeline:
        measure_input()
    else:
        print(
            "| network | FLOPs, G | parameters, M | built in s | change, "
            "median s | longest | changes | weights, made | trained | error |\n"
            + "|---" * 10
            + "|"
        )
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * 2,
        )
        for name in FLAGS.networks:
            measure_growing(name)


if __name__ == "__main__":
    app.run(main)

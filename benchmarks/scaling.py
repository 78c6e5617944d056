r"""What growing costs on several replicas: measured here, computed elsewhere.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --model=resnet50 --changes=20

Measures, on logical devices of this machine, in turn: a change of structure on
one device and on two replicas, what else the beginning and the end of a period
take, and how often steps are traced. Then as two processes: what workers tell
each other. And computes from that, for a ResNet-50 on ImageNet, what one change
costs on 1, 8, 256 and 4,096 replicas, as a share of an epoch.
"""

import hashlib
import json
import os
import pathlib
import platform
import socket
import statistics
import subprocess
import sys
import time

from absl import app
from absl import flags
from absl import logging

FLAGS = flags.FLAGS
flags.DEFINE_enum("model", "resnet20", ["resnet20", "resnet50"], "Network.")
flags.DEFINE_integer("changes", 60, "Changes to be timed.", lower_bound=4)
flags.DEFINE_list("replicas", ["1", "8", "256", "4096"], "To compute for.")
flags.DEFINE_integer("per_worker", 8, "Replicas of a worker.")
flags.DEFINE_float("images", 1000.0, "Images a second of one replica.")
flags.DEFINE_float("host_link", 10.0, "GB/s from a host to one device.")
flags.DEFINE_float("network", 3.0, "GB/s between workers.")
flags.DEFINE_float("latency", 1e-3, "Seconds of one exchange of a few bytes.")
flags.DEFINE_integer("worker", None, "Set by this program itself.")

IMAGENET = 1_281_167
EXAMPLE = 224 * 224 * 3 * 4  # bytes of an image of ImageNet, as a float32
KEPT = 32 * 2**20, 256  # the most bytes and examples that are kept


def network(kgp, keras):
    if FLAGS.model == "resnet50":
        plain = keras.applications.ResNet50(
            weights=None,
            input_shape=(64, 64, 3),
            classes=10,
            classifier_activation=None,
        )
        return kgp.growable(plain, kgp.Budget(flops=0.5), seed=0)
    inputs, outputs = kgp.models.resnet(depth=20)
    return kgp.GrowPruneModel(inputs, outputs, kgp.Budget(flops=0.5), seed=0)


def started(kgp, keras, scope):
    """A model that has trained for a step."""
    import numpy as np

    with scope:
        model = network(kgp, keras)
        model.compile(
            keras.optimizers.SGD(0.1, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    random = np.random.default_rng(0)
    x = random.random((16, *model.input_shape[1:]), dtype="float32")
    y = random.integers(0, 10, 16)
    fit = dict(batch_size=8, verbose=0, growth_epochs=1000)
    model.fit(x, y, **fit)
    return model, lambda: model.fit(x, y, **fit)


def structures(model):
    """Two structures in turn: half and three quarters of the units."""
    import numpy as np

    import keras_growprune as kgp

    found = []
    for share in (0.5, 0.75):
        units = np.zeros(model.structure.units.shape, bool)
        for group in model.groups:
            width = max(1, round(group.size * share))
            units[group.start : group.start + width] = True
        gates = np.ones(model.structure.gates.shape, bool)
        found.append(kgp.Structure(units, gates))
    return found


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def milliseconds(values):
    low, middle, high = statistics.quantiles([1e3 * each for each in values])
    return f"{middle:.1f} ({low:.1f} to {high:.1f}) ms"


def measure_replicas():
    """Times one device and two replicas in turn.

    Returns:
        `(model, median seconds of a decision and a change on one device,
        median seconds of what has to be compared)`.
    """
    import contextlib

    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
    import keras

    import keras_growprune as kgp

    print(
        f"Keras {keras.__version__}, TensorFlow {tf.__version__}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores, {FLAGS.model}, "
        f"{FLAGS.changes} changes; medians and quartiles"
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    scopes = {
        "one device": contextlib.nullcontext(),
        "two replicas": strategy.scope(),
    }
    models = {
        name: started(kgp, keras, scope) for name, scope in scopes.items()
    }
    changes = {name: [] for name in models}
    targets = structures(models["one device"][0])
    for index in range(FLAGS.changes):
        for name, (model, _) in models.items():
            target = targets[index % 2]
            took = seconds(lambda m=model, t=target: m.restructure(t))
            changes[name].append(took)
    for name, values in changes.items():
        print(f"a change, {name:<14}{milliseconds(values[2:])}")
    ratios = [b / a for a, b in zip(*changes.values())]
    low, middle, high = statistics.quantiles(ratios[2:])
    print(f"two replicas to one device: {middle:.2f} ({low:.2f} to {high:.2f})")
    for name, (model, fit) in models.items():
        before = len(model.ledger.epochs)
        for _ in range(4):
            fit()
        epochs = model.ledger.epochs[before:]
        measuring = [epoch["measure_seconds"] for epoch in epochs]
        traces = sum(epoch["traces"] for epoch in epochs)
        print(
            f"four more periods, {name}: traces {traces:.0f}; norms of kept "
            f"examples {1e3 * statistics.median(measuring):.0f} ms each"
        )
    model = models["one device"][0]
    deciding = [seconds(lambda: decide(model)) for _ in range(10)]
    print(f"a decision: {milliseconds(deciding[2:])}")
    took = statistics.median(changes["one device"])
    comparing = statistics.median(
        [seconds(lambda: digest(model)) for _ in range(10)]
    )
    return model, took + statistics.median(deciding), comparing


def digest(model):
    """What is computed of all values, to compare workers."""
    found = hashlib.blake2b(digest_size=16)
    for variable in (*model.variables, *model.optimizer.variables):
        found.update(variable.numpy().tobytes())
    return found.digest()


def decide(model):
    """What the rule decides at the beginning of a period."""
    blueprint = model._growth.blueprint
    state = model._growth.state.copy()
    blueprint.rule.decide(state, blueprint.space, 0.7 * blueprint.cost.full)


def measure_workers():
    """Two processes tell each other what they do in one period."""
    with FreePorts(2) as ports:
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    processes = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        environment = {
            **os.environ,
            "TF_CONFIG": json.dumps({"cluster": cluster, "task": task}),
        }
        command = [sys.executable, __file__, *sys.argv[1:], f"--worker={index}"]
        processes.append(subprocess.Popen(command, env=environment))
    if any(process.wait() for process in processes):
        sys.exit("a worker has failed")


class FreePorts:
    """Free ports, held until they are left."""

    def __init__(self, count):
        self._sockets = [socket.socket() for _ in range(count)]

    def __enter__(self):
        for each in self._sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in self._sockets]

    def __exit__(self, *_):
        for each in self._sockets:
            each.close()


def be_a_worker():
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    import keras

    import keras_growprune as kgp
    from keras_growprune import backend
    from keras_growprune.training.agreement import check_agreement

    model, _ = started(kgp, keras, strategy.scope())
    replicas = backend.replicas_of(model)
    norms = model._growth.network.norms
    targets = structures(model)
    kinds = {
        "a change, of two workers": lambda index: model.restructure(
            targets[index % 2]
        ),
        "structure, weights and slots are compared": lambda _: check_agreement(
            replicas, model, model._growth.state, [model.optimizer]
        ),
        "averages of norms": lambda _: norms.average_over_replicas(replicas),
        "kept examples": lambda _: norms.collect_examples(),
    }
    for name, function in kinds.items():
        took = [
            seconds(lambda f=function, i=index: f(i))
            for index in range(FLAGS.changes)
        ]
        if FLAGS.worker == 0:
            print(f"{name}: {milliseconds(took[2:])}", flush=True)


def sizes(model):
    """Bytes that a change moves at most, and those of the norms' averages."""
    import numpy as np

    count = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    averages = sum(
        int(np.prod(v.shape))
        for v in model.non_trainable_variables
        if "moving" in v.path
    )
    return 2 * 4 * count, 8 * averages  # weights and one slot; as float64


def compute(change, comparing, weights, averages):
    """Prints what one change costs, of an epoch of ImageNet.

    Args:
        change: Seconds of a decision and a change on one device.
        comparing: Seconds in which a worker computes what is compared.
        weights: Bytes of the weights and slots in the network.
        averages: Bytes of the averages of norms.
    """
    examples = min(KEPT[0], KEPT[1] * EXAMPLE)
    print(
        f"\nImageNet, {FLAGS.images:,.0f} images/s a replica, "
        f"{FLAGS.per_worker} replicas a worker; {weights / 1e6:.0f} MB of "
        f"weights and slots, {averages / 1e6:.2f} MB of averages, "
        f"{examples / 1e6:.0f} MB of examples"
    )
    print(
        f"{'replicas':>8}{'workers':>9}{'epoch, s':>11}{'to devices, MB':>16}"
        f"{'between workers, MB':>21}{'change, s':>11}{'of an epoch':>13}"
    )
    for count in map(int, FLAGS.replicas):
        workers = -(-count // FLAGS.per_worker)
        here = min(count, FLAGS.per_worker)
        epoch = IMAGENET / (FLAGS.images * count)
        sent = 0 if workers == 1 else 2 * averages + examples + 49 * workers
        rounds = 0 if workers == 1 else 6 * (workers - 1).bit_length()
        took = (
            change
            + comparing * (workers > 1)
            + (here - 1) * weights / (FLAGS.host_link * 1e9)
        )
        took += sent / (FLAGS.network * 1e9) + rounds * FLAGS.latency
        print(
            f"{count:>8,}{workers:>9,}{epoch:>11,.1f}"
            f"{here * weights / 1e6:>16,.0f}{sent / 1e6:>21,.1f}"
            f"{took:>11.2f}{took / epoch:>13.2%}"
        )


def main(argv):
    del argv
    logging.set_verbosity(logging.ERROR)
    if FLAGS.worker is not None:
        be_a_worker()
        return
    model, change, comparing = measure_replicas()
    measure_workers()
    compute(change, comparing, *sizes(model))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
    app.run(main)

"""On what an example is trained: one device, several, or several workers.

An example hands what it does to `run` before TensorFlow does anything else,
makes and compiles its networks inside `scope()`, and calls `fit` as always.
"""

import contextlib
import json
import os
import sys

import keras
import tensorflow as tf
from absl import app
from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_enum(
    "strategy",
    "none",
    ["none", "mirrored", "multi_worker", "tpu"],
    "What trains: one device; all GPUs of this machine; several processes, on "
    "one machine (examples/launch_workers.py starts them) or on several; a "
    "TPU. The batch size is that of all together.",
)
flags.DEFINE_string(
    "tpu", None, "Name or address of the TPU; 'local' on a TPU's own machine."
)

_EXAMPLE = json.dumps(
    {
        "cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
        "task": {"type": "worker", "index": 0},
    }
)
_HELP = (
    "Set it for each worker, with its own index, such as\n"
    f"    TF_CONFIG='{_EXAMPLE}'\n"
    "or let examples/launch_workers.py do so, on one machine."
)


class Strategy:
    """What trains the networks, and which part of it this process is.

    Args:
        strategy: A `tf.distribute.Strategy`, or None.
        workers: How many processes train together.
        worker: Number of this one.

    Attributes:
        replicas: Copies of a network that share each batch.
        worker, workers: As above.
        is_chief: Whether this process prints and writes files.
        trains_plain_networks: Whether networks of plain Keras can be trained.
            Keras 3 itself does not train under several workers; a
            `GrowPruneModel` does.
    """

    def __init__(self, strategy=None, workers=1, worker=0):
        self._strategy = strategy
        self.replicas = strategy.num_replicas_in_sync if strategy else 1
        self.workers = workers
        self.worker = worker
        self.is_chief = worker == 0
        self.trains_plain_networks = workers == 1

    def scope(self):
        """Inside, networks and optimizers are made for all replicas."""
        if self._strategy is None:
            return contextlib.nullcontext()
        return self._strategy.scope()

    def prepared(self, data, is_dealt_out=False):
        """A `tf.data.Dataset` of whole batches, to be given to `fit`.

        Args:
            data: The `tf.data.Dataset`.
            is_dealt_out: Whether each worker's reads another part already.
        """
        if self.workers == 1:
            return data
        # Each worker reads all of it, and trains on its part of each batch.
        # Otherwise TensorFlow looks for files to deal out.
        policies = tf.data.experimental.AutoShardPolicy
        policy = policies.OFF if is_dealt_out else policies.DATA
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = policy
        return data.with_options(options)

    def load(self, function):
        """What a function loads: for the chief first, who may download it."""
        loaded = function() if self.is_chief else None
        self.wait_for_all()
        return loaded if self.is_chief else function()

    def batch_size(self, examples, least=32):
        """A batch size that gives each replica a part of each batch.

        Args:
            examples: How many there are; the last batch has what is left.
            least: The smallest one that is wanted.
        """
        size = least
        while 0 < examples % size < self.replicas:
            size += 1
        return size

    def answers(self, model, inputs):
        """What this process alone computes with a trained network."""
        if self.workers == 1:
            batch_size = self.batch_size(len(inputs))
            return model.predict(inputs, batch_size, verbose=0)
        # `predict` would wait for the other workers.
        return keras.ops.convert_to_numpy(model(inputs, training=False))

    def on_one_device(self, model):
        """The same plain network, outside of the strategy."""
        if self._strategy is None:
            return model
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        return copy

    def wait_for_all(self):
        """Comes back when all workers have called it."""
        if self.workers == 1:
            return

        def count():
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.ones(()))

        counts = tf.function(lambda: self._strategy.run(count))()
        for each in self._strategy.experimental_local_results(counts):
            each.numpy()


def run(example):
    """Does what an example does, with the strategy that the flags ask for.

    Workers other than the chief print nothing.

    Args:
        example: Function of a `Strategy`.

    Raises:
        app.UsageError: If there is no such thing here.
    """
    strategy = _from_flags()
    example(strategy)
    # One that left before would look to the others as if it had died.
    strategy.wait_for_all()


def _from_flags():
    if FLAGS.strategy == "multi_worker":
        return _multi_worker()
    count, _ = _place_in_cluster(os.environ.get("TF_CONFIG") or "{}")
    if count > 1:
        raise app.UsageError(
            f"TF_CONFIG names {count} workers, but under "
            f"--strategy={FLAGS.strategy} each would train for itself and "
            "overwrite what the others write. Use --strategy=multi_worker."
        )
    if FLAGS.strategy == "mirrored":
        return Strategy(_mirrored())
    if FLAGS.strategy == "tpu":
        return Strategy(_tpu())
    return Strategy()


def _mirrored():
    if tf.config.list_physical_devices("GPU"):
        return tf.distribute.MirroredStrategy()
    print("no GPU here: two replicas on the CPU, to try it out")
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or ()) < 2:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    # Without collectives: TensorFlow would take those of another strategy in
    # this process, as tests make them, for the same ones.
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def _multi_worker():
    if not os.environ.get("TF_CONFIG"):
        raise app.UsageError(
            "--strategy=multi_worker needs the environment variable TF_CONFIG, "
            f"which tells a worker of the others. {_HELP}"
        )
    workers, worker = _place_in_cluster(os.environ["TF_CONFIG"])
    if not workers:
        raise _bad_config("it names no workers")
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    if worker:
        print(f"worker {worker} of {workers}: worker 0 prints", flush=True)
        sys.stdout = open(os.devnull, "w")
    return Strategy(strategy, workers, worker)


def _place_in_cluster(text):
    """`(number of workers, number of this one)` that a TF_CONFIG names."""
    try:
        config = json.loads(text)
        cluster = config.get("cluster", {})
        # A chief comes before all workers, and trains like them.
        kinds = [kind for kind in ("chief", "worker") if cluster.get(kind)]
        places = [
            (kind, index)
            for kind in kinds
            for index in range(len(cluster[kind]))
        ]
        if not places:
            return 0, 0
        task = config["task"]
        place = task["type"], int(task["index"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _bad_config(f"{type(error).__name__}: {error}") from None
    if place not in places:
        raise _bad_config(f"its task {place} is none of {places}")
    return len(places), places.index(place)


def _bad_config(problem):
    return app.UsageError(
        "The environment variable TF_CONFIG does not tell a worker its place: "
        f"{problem}. Received: {os.environ['TF_CONFIG']!r}. {_HELP}"
    )


def _tpu():
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(FLAGS.tpu)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
        raise app.UsageError(
            f"No TPU was found (--tpu={FLAGS.tpu}). Expected: the name or "
            "address of one that this machine can reach, or 'local' on a "
            f"TPU's own machine. TensorFlow says: {error}"
        ) from error
    return tf.distribute.TPUStrategy(resolver)

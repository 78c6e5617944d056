"""All that the library asks of `tf.distribute`.

Each process of a run is a worker and has one or several replicas of the
network. The processes all do the same; nothing is done by one for the others.
"""

import contextlib
import functools
import json
import weakref

import numpy as np
import tensorflow as tf

_REFUSED = {
    "ParameterServerStrategy": "its workers train asynchronously, each on "
    "weights of its own, and Keras 3's `fit` does not run on it",
    "CentralStorageStrategy": "its variables are not those of the replicas "
    "that count what happens, and Keras 3 does not support it",
}


_OF_KNOWN_SIZES = ["TPUStrategy"]

# What workers do together, by strategy: to trace it takes 50 ms, to run it 3.
_together = weakref.WeakKeyDictionary()


class Replicas:
    """The replicas that a network is trained on, here and on other workers.

    Args:
        strategy: A `tf.distribute.Strategy`, also the default one.

    Attributes:
        count: How many replicas there are, on all workers.
        here: How many replicas there are on this worker.
        first_here: The number of the first of them.
        workers: How many processes take part.
        is_chief: Whether this process writes files for all.
        need_known_sizes: Whether what the replicas run is compiled for sizes
            that are known beforehand, as on a TPU.
    """

    def __init__(self, strategy):
        self._strategy = strategy
        self.count = strategy.num_replicas_in_sync
        self.workers = 1
        number = 0
        if _has_several_workers(strategy):
            here = len(strategy.extended.worker_devices)
            self.workers = self.count // here
            number = _number_of(strategy.cluster_resolver)
        self.is_chief = number == 0
        self.here = self.count // self.workers
        self.first_here = number * self.here
        self.need_known_sizes = _is_of(strategy, _OF_KNOWN_SIZES)

    @contextlib.contextmanager
    def scope(self):
        """Inside, variables are made for all replicas."""
        is_inside = tf.distribute.get_strategy() is self._strategy
        scope = contextlib.nullcontext if is_inside else self._strategy.scope
        creating = contextlib.nullcontext()
        if self.workers > 1:
            creating = tf.variable_creator_scope(_create_without_entries)
        with scope(), creating:
            yield

    def exchange(self, content):
        """Tells all workers what each of them has to say.

        All workers have to call it, equally often.

        Args:
            content: Bytes.

        Returns:
            List of bytes, one for each worker, the chief's first.
        """
        if self.workers == 1:
            return [content]
        content = (b"\1" if self.is_chief else b"\0") + content
        sizes = self._gather([len(content)])
        padded = content + b"\0" * (-len(content) % 4)
        words = self._gather(np.frombuffer(padded, "int32"))
        found, start = [], 0
        for size in sizes:
            length = -(-int(size) // 4)
            found.append(words[start : start + length].tobytes()[:size])
            start += length
        found.sort(key=lambda each: each[0] != 1)
        return [each[1:] for each in found]

    def _gather(self, values):
        """Vectors of all workers, one after the other."""
        return self._together("gather", values)

    def _together(self, what, values):
        known = _together.setdefault(self._strategy, {})
        if what not in known:
            known[what] = _TOGETHER[what](self._strategy)
        with self.scope():
            return known[what](values).numpy()

    def sum_over_workers(self, values):
        """Sum of what all workers have; all of them have to call it.

        Args:
            values: Array of one axis, of float64.
        """
        if self.workers == 1:
            return values
        return self._together("sum", values)

    def of_all(self, tell):
        """What the replicas of all workers have.

        Args:
            tell: Function of the number of a replica of this worker that
                returns a list of arrays.

        Returns:
            A list of lists of arrays.
        """
        here = [tell(index) for index in range(self.here)]
        if self.workers == 1:
            return here
        found = []
        for content in self.exchange(_packed(here)):
            found += _unpacked(content)
        return found


def _of_one_replica(strategy):
    """A step in which one replica speaks for its worker."""
    here = len(strategy.extended.worker_devices)

    def of_replica(values, otherwise):
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        is_first = tf.get_static_value(number) % here == 0
        return values if is_first else otherwise(values)

    return of_replica


# One trace of each alone: workers have to agree on how many there are.


def _gathering(strategy):
    step = _of_one_replica(strategy)

    def gather(values):
        every = strategy.run(step, args=(values, lambda x: x[:0]))
        return strategy.gather(every, axis=0)

    return tf.function(gather, input_signature=[tf.TensorSpec([None], "int32")])


def _summing(strategy):
    step = _of_one_replica(strategy)

    def add_up(values):
        every = strategy.run(step, args=(values, tf.zeros_like))
        return strategy.reduce("SUM", every, axis=None)

    spec = tf.TensorSpec([None], "float64")
    return tf.function(add_up, input_signature=[spec])


_TOGETHER = {"gather": _gathering, "sum": _summing}


def replicas_of(model):
    """The `Replicas` of a Keras model."""
    return Replicas(model.distribute_strategy)


def in_scope(method):
    """Decorates a method: it runs in the scope of its `model`'s strategy."""

    @functools.wraps(method)
    def inner(self, *args, **kwargs):
        with replicas_of(self.model).scope():
            return method(self, *args, **kwargs)

    return inner


def present_replicas():
    """The `Replicas` of the scope that this is called in."""
    return Replicas(tf.distribute.get_strategy())


def why_strategy_is_refused(strategy=None):
    """Why nothing can grow under a strategy, or None.

    Args:
        strategy: A `tf.distribute.Strategy`. Defaults to `None`: the one in
            whose scope this is called.
    """
    strategy = strategy or tf.distribute.get_strategy()
    for name, reason in _REFUSED.items():
        if _is_of(strategy, [name]):
            return f"{name}: {reason}"
    return None


def is_in_scope():
    """Whether this is called in the scope of a strategy."""
    return tf.distribute.has_strategy()


def may_update_conditionally(strategy):
    """Whether replicas may update variables together inside a condition."""
    if strategy.num_replicas_in_sync == 1:
        return True
    with strategy.scope():
        return tf.__internal__.distribute.strategy_supports_no_merge_call()


def is_lost_worker(error):
    """Whether an error says that another worker does not answer any more."""
    if not isinstance(error, tf.errors.OpError):
        return False
    text = str(error)
    if "Shape mismatch" in text:
        return False  # it answers, but something else
    return isinstance(error, tf.errors.UnavailableError) or any(
        sign in text
        for sign in ("Collective ops is aborted", "stopped sending heartbeats")
    )


# In the step of one replica


def replica_count():
    """How many replicas run the step that is being traced or run."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def is_first_replica():
    """Whether what is traced or run is so for the first time.

    Some strategies trace a step once for each replica of this worker.
    """
    context = tf.distribute.get_replica_context()
    if context is None:
        return True
    number = tf.get_static_value(context.replica_id_in_sync_group)
    if number is None:
        return True  # one trace for all
    return int(number) % Replicas(context.strategy).here == 0


def sum_over_replicas(values):
    """Sums of tensors over all replicas, where there are several.

    Args:
        values: List of tensors; None stays.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    result, of_types = list(values), {}
    for index, value in enumerate(values):
        if value is not None:
            of_types.setdefault(value.dtype, []).append(index)
    for indices in of_types.values():
        sums = context.all_reduce(
            tf.distribute.ReduceOp.SUM, [values[index] for index in indices]
        )
        for index, value in zip(indices, sums):
            result[index] = value
    return result


def to_be_averaged(logs):
    """What a step returns, so that Keras can average it over replicas.

    Of several workers, it averages along the first axis.

    Args:
        logs: Dict of scalars.
    """
    if present_replicas().workers == 1:
        return logs
    return {name: tf.reshape(value, [1]) for name, value in logs.items()}


def first_of_replicas(values):
    """What the first replica of this worker has of distributed values."""

    def first(value):
        if isinstance(value, tf.distribute.DistributedValues):
            return value.values[0]
        return value

    return tf.nest.map_structure(first, values)


def nothing_from_empty(values, size):
    """Tensors, or zeros where a replica had no example.

    The last batch of a data set may have fewer examples than there are
    replicas, and statistics of no examples are not a number.

    Args:
        values: List of tensors, gradients; None stays.
        size: How many examples the replica had, a tensor.
    """
    if replica_count() == 1:
        return values

    def checked(value):
        return tf.where(size > 0, value, tf.zeros_like(value))

    result = []
    for value in values:
        if isinstance(value, tf.IndexedSlices):
            value = tf.IndexedSlices(
                checked(value.values), value.indices, value.dense_shape
            )
        elif value is not None:
            value = checked(value)
        result.append(value)
    return result


# Variables


def copies_of(variable):
    """The variables of this worker's replicas behind a TensorFlow variable."""
    if isinstance(variable, tf.distribute.DistributedValues):
        return list(variable.values)
    return [variable]


def _create_without_entries(next_creator, **arguments):
    """Makes a variable, also one without entries.

    Workers are told initial values by the chief, which ends with an error
    where there is nothing to be told.
    """
    value = arguments["initial_value"]
    value = value() if callable(value) else value
    value = tf.convert_to_tensor(value, dtype=arguments.get("dtype"))
    if value.shape.num_elements() != 0:
        return next_creator(**{**arguments, "initial_value": value})
    given = arguments.get("shape")
    given = value.shape if given is None else tf.TensorShape(given)
    arguments["shape"] = tf.TensorShape([n or None for n in given])
    arguments["initial_value"] = tf.zeros(
        [max(n, 1) for n in value.shape], value.dtype
    )
    variable = next_creator(**arguments)
    for each in copies_of(variable):
        each.assign(value)
    return variable


def _has_several_workers(strategy):
    extended = strategy.extended
    return bool(getattr(extended, "_in_multi_worker_mode", bool)()) and not (
        _is_of(strategy, ["TPUStrategy"])  # one process has all of them
    )


def _number_of(resolver):
    """The number of this worker, the chief's is 0."""
    if resolver.task_type in (None, "chief"):
        return 0
    has_chief = "chief" in resolver.cluster_spec().as_dict()
    return resolver.task_id + has_chief


def _is_of(strategy, names):
    kinds = [kind.__name__ for kind in type(strategy).__mro__]
    return any(kind.startswith(name) for kind in kinds for name in names)


def _packed(lists):
    """Lists of arrays as bytes."""
    head = [
        [[_type_name(each.dtype), list(each.shape)] for each in arrays]
        for arrays in lists
    ]
    head = json.dumps(head).encode()
    parts = [np.ascontiguousarray(x).tobytes() for xs in lists for x in xs]
    return b"".join([len(head).to_bytes(8, "little"), head, *parts])


def _type_name(dtype):
    return dtype.name if dtype.kind == "V" else dtype.str  # of a bfloat16


def _unpacked(content):
    size = int.from_bytes(content[:8], "little")
    lists, start = [], 8 + size
    for head in json.loads(content[8:start]):
        arrays = []
        for dtype, shape in head:
            dtype, count = np.dtype(dtype), int(np.prod(shape, dtype="int64"))
            array = np.frombuffer(content, dtype, count, start)
            arrays.append(array.reshape(shape))
            start += count * dtype.itemsize
        lists.append(arrays)
    return lists

"""Moving averages of batch norms that belong to the present structure."""

import collections
import contextlib
import threading

import keras
import numpy as np
from keras import ops

from keras_growprune import backend
from keras_growprune import keras_internals

_KEPT_EXAMPLES = 256
_KEPT_BYTES = 32 * 2**20
_STATISTICS = (
    "moving_mean",
    "moving_variance",
    "moving_stddev",
    "renorm_mean",
    "renorm_stddev",
)


class NormStatistics:
    """Restarts the moving averages of batch norms at each restructuring.

    Right after a restructuring they belong to another network, and Keras's
    default momentum of 0.99 needs hundreds of steps to forget it. Here the
    average starts anew: after k steps the momentum is `k / (k + 1 + lag)`,
    never more than the layer's own. With `lag` 0 that is the plain average of
    all steps since; a larger one weighs recent steps more, since the weights
    move while the average is taken.

    At a large learning rate even the average of the last few steps belongs to
    another network. So while the structure changes, the latest examples are
    kept, and `refresh` measures the statistics of the present network on them
    before it is validated.

    Args:
        layers: The layers of the network.
        lag: Float, see above.
    """

    def __init__(self, layers, lag=8.0):
        self._norms = [
            layer
            for layer in layers
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        self._lag = lag
        # Momentum of each norm in the step that this thread runs.
        self._running = threading.local()
        for layer in self._norms:
            keras_internals.adapt(layer, momentum=self._momentum_of(layer))
        self._steps = keras.Variable(
            0.0,
            trainable=False,
            dtype="float32",
            autocast=False,  # a float16 cannot count that far
            name="steps_since_restart",
        )
        self._kept, self._batch_size = None, None
        self._keeps = keras.Variable(
            False, trainable=False, dtype="bool", name="keeps_examples"
        )

    def _momentum_of(self, layer):
        def momentum(value):
            now = getattr(self._running, "momenta", {})
            return now.get(id(layer), value)

        return momentum

    def restart(self, transaction=None):
        """Forgets what was averaged so far.

        Args:
            transaction: The `Transaction` that it is part of, if any.
        """
        before = self._steps.numpy()
        if transaction is None:
            self._steps.assign(0.0)
            return
        transaction.do(
            lambda: self._steps.assign(0.0),
            undo=lambda: self._steps.assign(before),
        )

    def count_step(self):
        self._steps.assign_add(1.0)

    def prepare_to_keep(self, inputs):
        """Makes the memory for `keep`, before anything is traced.

        There is none for sparse or ragged inputs, nor where two inputs fix
        batch sizes that differ.

        Args:
            inputs: Input tensors of the model, as they were given.
        """
        if not self._norms or self._kept is not None:
            return
        tensors = keras.tree.flatten(inputs)
        sizes = {tensor.shape[0] for tensor in tensors} - {None}
        if len(sizes) > 1 or not all(map(keras_internals.is_dense, tensors)):
            return
        self._batch_size = sizes.pop() if sizes else None
        self._kept = backend.Examples(
            [tuple(tensor.shape[1:]) for tensor in tensors],
            [tensor.dtype for tensor in tensors],
            _KEPT_EXAMPLES,
            _KEPT_BYTES,
            self._batch_size,
        )

    def keep(self, model, x):
        """Keeps the latest examples, at most 256 and 32 MiB (while tracing).

        Args:
            model: The functional model that has the norms.
            x: Inputs of a training step, a tensor or a structure of tensors.
        """
        if self._kept is None:
            return
        if model.jit_compile and not self._kept.is_ring:
            return  # XLA lets no variable change its size
        tensors = keras_internals.standardized_inputs(model, x)
        if self._kept.fit(tensors):
            # Switched off by a variable once the structure is settled: that
            # needs no new trace.
            backend.either(
                self._keeps, lambda: self._kept.keep(tensors), lambda: None
            )

    def start_period(self, keeps, forgets=True):
        """Says whether steps keep examples.

        Args:
            keeps: Whether they do.
            forgets: Whether what was kept is forgotten: at the beginning of
                an epoch, since a run that was broken off begins there.
        """
        self._keeps.assign(keeps)
        if self._kept is not None and (forgets or not keeps):
            self._kept.forget()

    def collect_examples(self):
        """Takes note of what all replicas keep; all workers call it."""
        if self._kept is not None:
            self._kept.collect()

    def average_over_replicas(self, replicas):
        """Gives all replicas the mean of what each has averaged alone.

        Args:
            replicas: The `Replicas` that the network is trained on.
        """
        if replicas.count == 1 or not self._norms:
            return
        variables = [
            getattr(norm, name)
            for norm in self._norms
            for name in _STATISTICS
            if getattr(norm, name, None) is not None
        ]
        copies = [backend.copies_of(each.value) for each in variables]
        values = [[backend.read(copy) for copy in each] for each in copies]
        # A replica that had no example in its last step knows nothing.
        known = [
            [value for value in each if np.isfinite(value).all()]
            for each in values
        ]
        here = [np.array([len(each) for each in known], "float64")]
        for each, (first, *_) in zip(known, values):
            none = np.zeros_like(first)
            here.append(np.sum([none, *each], axis=0, dtype="float64").ravel())
        told = replicas.sum_over_workers(np.concatenate(here))
        counts, sums = np.split(told, [len(known)])
        ends = np.cumsum([first.size for first, *_ in values])[:-1]
        for index, total in enumerate(np.split(sums, ends)):
            first = values[index][0]
            if counts[index]:
                mean = (total / counts[index]).reshape(first.shape)
                backend.assign_copies(copies[index], mean.astype(first.dtype))

    def refresh(self, model):
        """Measures the statistics of the present network on what was kept.

        Args:
            model: The functional model that has the norms.
        """
        seen = 0
        self.collect_examples()
        with self.others_unchanged(model):
            for inputs in self._batches():
                self.average(model, inputs, seen, len(inputs[0]))
                seen += len(inputs[0])

    def of_tensors(self, model, tensors):
        """Mean and variance of each channel of tensors inside the network.

        Args:
            model: The functional model, in its present structure.
            tensors: List of symbolic tensors of it, channels last.

        Returns:
            One `(mean, variance)` for each tensor, or None where it is not
            computed at present or no examples were kept.
        """
        found = [[] for _ in tensors]
        masks = [keras_internals.mask_of(tensor) for tensor in tensors]
        with self.others_unchanged(model, but_norms=False):
            for inputs in self._batches() if tensors else ():
                values = keras_internals.call_training_only(
                    model,
                    inputs,
                    keras.layers.BatchNormalization,
                    tensors + masks,
                )
                here, masked = values[: len(found)], values[len(found) :]
                for rows, value, mask in zip(found, here, masked):
                    if value is not None:
                        rows.append(_rows(value, mask))
        return [_moments(rows) for rows in found]

    def average(self, model, inputs, seen, size):
        """Takes a batch into plain averages, and trains nothing.

        Args:
            model: The functional model that has the norms.
            inputs: Its inputs, a list as `standardized_inputs` returns it.
            seen: What the averages so far weigh.
            size: What this batch weighs.
        """
        calls = keras_internals.count_calls(model)
        earlier = collections.Counter()

        def momentum(norm):
            # A norm that is shared averages over all its calls.
            before = seen * calls[id(norm)] + size * earlier[id(norm)]
            earlier[id(norm)] += 1
            share = ops.cast(before / (before + size), norm.variable_dtype)
            return self._set_momenta({id(norm): share})

        keras_internals.call_training_only(
            model, inputs, keras.layers.BatchNormalization, around=momentum
        )

    def average_step(self, model, x):
        """As `average`, of one more of equal batches (while tracing).

        Args:
            model: The functional model that has the norms.
            x: Its inputs, as `fit` takes them.
        """
        inputs = keras_internals.standardized_inputs(model, x)
        self.average(model, inputs, ops.convert_to_tensor(self._steps), 1.0)
        self.count_step()

    @contextlib.contextmanager
    def others_unchanged(self, model, but_norms=True):
        """What else a network remembers is afterwards as it was before.

        The states of recurrent layers, seeds, counters of the user's.

        Args:
            model: The functional model.
            but_norms: Whether statistics of the norms may change.
        """
        own = {
            id(getattr(norm, name, None))
            for norm in self._norms
            for name in _STATISTICS
            if but_norms
        }
        before = [
            (variable, keras_internals.read_copies(variable))
            for variable in (
                *model.non_trainable_variables,
                *keras_internals.carried_states(model),
            )
            if id(variable) not in own
        ]
        try:
            yield
        finally:
            for variable, values in before:
                keras_internals.assign_copies(variable, values)

    def _batches(self):
        """The examples kept, in lists of inputs that the model can take."""
        for tensors in [] if self._kept is None else self._kept.all():
            count = len(tensors[0])
            size = self._batch_size or count
            for start in range(0, count, size):
                yield [tensor[start : start + size] for tensor in tensors]

    @contextlib.contextmanager
    def _set_momenta(self, momenta):
        """Inside, in this thread, norms have other momenta, by `id`."""
        before = getattr(self._running, "momenta", {})
        self._running.momenta = momenta
        try:
            yield
        finally:
            self._running.momenta = before

    @contextlib.contextmanager
    def momentum(self):
        """While tracing a training step: the momentum that depends on steps."""
        steps = ops.convert_to_tensor(self._steps)
        restarted = ops.divide(steps, ops.add(steps, 1.0 + self._lag))
        caps = {
            id(layer): (layer.momentum, layer.variable_dtype)
            for layer in self._norms
        }
        # One tensor for all norms of the same momentum.
        momenta = {
            (cap, dtype): ops.cast(ops.minimum(restarted, cap), dtype)
            for cap, dtype in set(caps.values())
        }
        with self._set_momenta(
            {key: momenta[cap] for key, cap in caps.items()}
        ):
            yield

    def to_arrays(self):
        return {"norm_steps": self._steps.numpy()}

    def from_arrays(self, arrays):
        self._steps.assign(float(np.array(arrays["norm_steps"])))


def _rows(value, mask):
    """Channels of a tensor at each position that is not masked."""
    value = np.array(value)
    if mask is None or tuple(mask.shape) != value.shape[:-1]:
        return value.reshape(-1, value.shape[-1])
    return value[np.array(mask)]


def _moments(rows):
    if not rows:
        return None
    rows = np.concatenate(rows).astype("float64")
    return rows.mean(axis=0), rows.var(axis=0)

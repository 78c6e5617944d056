"""Moving averages of batch norms that belong to the present structure."""

import contextlib
import threading

import keras
import numpy as np
from keras import ops

from keras_growprune import backend
from keras_growprune import keras_internals

_KEPT_EXAMPLES = 256
_KEPT_BYTES = 32 * 2**20


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
            0.0, trainable=False, dtype="float32", name="steps_since_restart"
        )
        self._kept = None
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

        Args:
            inputs: Input tensors of the model, as they were given.
        """
        if not self._norms or self._kept is not None:
            return
        tensors = keras.tree.flatten(inputs)
        shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
        dtypes = [
            keras.backend.standardize_dtype(tensor.dtype) for tensor in tensors
        ]
        example = sum(map(backend.bytes_of, shapes, dtypes))
        count = max(1, min(_KEPT_EXAMPLES, _KEPT_BYTES // example))
        self._inputs = inputs
        self._kept = backend.Examples(shapes, dtypes, count)

    def keep(self, x):
        """Keeps the latest examples, at most 256 and 32 MiB (while tracing).

        Args:
            x: Inputs of a training step, a tensor or a structure of tensors.
                Where they do not look like the model's, nothing is kept.
        """
        if self._kept is None:
            return
        tensors = keras.tree.flatten(x)
        is_alike = isinstance(x, dict) == isinstance(self._inputs, dict)
        if is_alike and self._kept.fit(tensors):
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

    def refresh(self, model):
        """Measures the statistics of the present network on what was kept.

        Args:
            model: The functional model that has the norms.
        """
        inputs = self._kept_inputs()
        if inputs is not None:
            with self._set_momenta([0.0] * len(self._norms)):
                keras_internals.call_training_only(
                    model, inputs, keras.layers.BatchNormalization
                )

    def of_tensors(self, model, tensors):
        """Mean and variance of each channel of tensors inside the network.

        Args:
            model: The functional model, in its present structure.
            tensors: List of symbolic tensors of it, channels last.

        Returns:
            One `(mean, variance)` for each tensor, or None where it is not
            computed at present or no examples were kept.
        """
        inputs = self._kept_inputs()
        if inputs is None or not tensors:
            return [None] * len(tensors)
        # With a momentum of one the norms' own averages stay.
        with self._set_momenta([1.0] * len(self._norms)):
            values = keras_internals.call_training_only(
                model, inputs, keras.layers.BatchNormalization, tensors
            )
        return [None if x is None else _moments(x) for x in values]

    def _kept_inputs(self):
        """The examples kept, as the model takes them, or None."""
        tensors = None if self._kept is None else self._kept.all()
        if tensors is None:
            return None
        return keras.tree.pack_sequence_as(self._inputs, tensors)

    @contextlib.contextmanager
    def _set_momenta(self, values):
        """Inside, in this thread, norms have other momenta."""
        before = getattr(self._running, "momenta", {})
        self._running.momenta = dict(zip(map(id, self._norms), values))
        try:
            yield
        finally:
            self._running.momenta = before

    @contextlib.contextmanager
    def momentum(self, plain_average=False):
        """While tracing a training step: the momentum that depends on steps.

        Args:
            plain_average: Whether all steps since the restart weigh the same,
                whatever the layer's own momentum.
        """
        lag = 0.0 if plain_average else self._lag
        steps = ops.convert_to_tensor(self._steps)
        restarted = ops.divide(steps, ops.add(steps, 1.0 + lag))
        caps = [
            1.0 if plain_average else layer.momentum for layer in self._norms
        ]
        # One tensor for all norms of the same momentum.
        momenta = {cap: ops.minimum(restarted, cap) for cap in set(caps)}
        with self._set_momenta([momenta[cap] for cap in caps]):
            yield

    def to_arrays(self):
        return {"norm_steps": self._steps.numpy()}

    def from_arrays(self, arrays):
        self._steps.assign(float(np.array(arrays["norm_steps"])))


def _moments(value):
    value = np.array(value, dtype="float64")
    axes = tuple(range(value.ndim - 1))
    return value.mean(axis=axes), value.var(axis=axes)

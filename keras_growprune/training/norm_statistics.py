"""Moving averages of batch norms that belong to the present structure."""

import contextlib

import keras
import numpy as np
from keras import ops


class NormStatistics:
    """Restarts the moving averages of batch norms at each restructuring.

    Right after a restructuring they belong to another network, and Keras's
    default momentum of 0.99 needs hundreds of steps to forget it. Here the
    average starts anew: after k steps the momentum is `k / (k + 1 + lag)`,
    never more than the layer's own. With `lag` 0 that is the plain average of
    all steps since; a larger one weighs recent steps more, since the weights
    move while the average is taken.

    Args:
        layers: The layers of the network.
        lag: Float, see above.
    """

    def __init__(self, layers, lag=3.0):
        self._norms = [
            layer
            for layer in layers
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        self._lag = lag
        self._steps = keras.Variable(
            0.0, trainable=False, dtype="float32", name="steps_since_restart"
        )

    def restart(self):
        """Forgets what was averaged so far."""
        self._steps.assign(0.0)

    def count_step(self):
        self._steps.assign_add(1.0)

    @contextlib.contextmanager
    def momentum(self, lag=None):
        """While tracing a training step: the momentum that depends on steps.

        Args:
            lag: Overrides the constructor's.
        """
        lag = self._lag if lag is None else lag
        steps = ops.convert_to_tensor(self._steps)
        restarted = ops.divide(steps, ops.add(steps, 1.0 + lag))
        before = [layer.momentum for layer in self._norms]
        for layer in self._norms:
            layer.momentum = ops.minimum(restarted, layer.momentum)
        try:
            yield
        finally:
            for layer, momentum in zip(self._norms, before):
                layer.momentum = momentum

    @property
    def norms(self):
        return list(self._norms)

    def to_arrays(self):
        return {"norm_steps": np.array(self._steps)}

    def from_arrays(self, arrays):
        self._steps.assign(float(np.array(arrays["norm_steps"])))

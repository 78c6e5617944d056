"""What recurrent layers whose units may come and go have in common."""

import contextlib
import threading

from keras_growprune import keras_internals
from keras_growprune.layers.factors import factor_on
from keras_growprune.layers.growable import Growable

# The layer that is being called, and the recurrent kernel that it reads.
_running = threading.local()


class GatedRecurrent(Growable):
    """Mixin of recurrent layers whose units may come and go.

    A unit is a column in each block of the gates, and a row of the recurrent
    kernel. A factor on a unit acts on what leaves the layer and on that row,
    so Keras computes the steps as ever, on a GPU by cuDNN.
    """

    _use_cudnn = "auto"
    state_size = keras_internals.Setting("state_size")

    def _init_width(self, full, seed):
        super()._init_width(full, seed)
        keras_internals.adapt(
            self.cell, recurrent_kernel=self._kernel_of_running_call
        )

    def _kernel_of_running_call(self, kernel):
        if getattr(_running, "layer", None) is self:
            return _running.kernel
        return kernel

    @property
    def use_cudnn(self):
        """As in Keras; only called itself, the layer has its factors.

        `Bidirectional` could fuse both directions into one operation, which
        would pass them by, and it compares widths, which may be unknown.
        """
        is_called = getattr(_running, "layer", None) is self
        acts = factor_on(self) or factor_on(self.cell)
        if not is_called and (acts or keras_internals.widths_are_unknown()):
            return False
        return self._use_cudnn

    @use_cudnn.setter
    def use_cudnn(self, value):
        self._use_cudnn = value

    @property
    def activation(self):
        return self.cell.activation

    @property
    def units(self):
        """The present number of units."""
        return self.cell.units

    @units.setter
    def units(self, units):
        cell = self.cell
        cell.units = cell.output_size = units
        several = isinstance(cell.state_size, (list, tuple))
        self.state_size = [units] * len(self.state_size)
        cell.state_size = [units] * len(cell.state_size) if several else units

    def call(self, sequences, initial_state=None, mask=None, training=False):
        self._check_in_network()
        with self._running(), keras_internals.doing("call", self):
            outputs = super(Growable, self).call(
                sequences,
                initial_state=initial_state,
                mask=mask,
                training=training,
            )
        factor = factor_on(self)
        if factor is None:
            return outputs
        if not self.return_state:
            return factor(outputs)
        # What an LSTM carries besides is read by itself only.
        output, state, *carry = outputs
        return (factor(output), factor(state), *carry)

    @contextlib.contextmanager
    def _running(self):
        """Inside, the layer is being called, with its factor on its rows."""
        factor, kernel = factor_on(self.cell), self.cell.recurrent_kernel
        # Once, not in every step of the loop.
        _running.kernel = kernel if factor is None else factor(kernel, axis=0)
        _running.layer = self
        try:
            yield
        finally:
            _running.layer = _running.kernel = None

    def as_plain_layer(self, **changes):
        layer = super().as_plain_layer(**changes)
        layer.use_cudnn = self._use_cudnn  # which the config leaves out
        return layer

"""What recurrent layers whose units may come and go have in common."""

import contextlib

from keras_growprune import keras_internals
from keras_growprune.layers.growable import Growable


class GatedRecurrent(Growable):
    """Mixin of recurrent layers whose units may come and go.

    A unit is a column in each block of the gates, and a row of the recurrent
    kernel. Its gate acts on what leaves the layer and on that row, so Keras
    computes the steps as ever, on a GPU by cuDNN.

    Attributes:
        recurrent_gate: Function applied to the rows of the recurrent kernel
            where `gate`, which is applied to both, is None.
    """

    recurrent_gate = None
    _is_working = False
    _use_cudnn = "auto"

    @property
    def use_cudnn(self):
        """As in Keras; only called itself, the layer has its gates.

        `Bidirectional` could fuse both directions into one operation, which
        would pass them by.
        """
        is_gated = self.gate is not None or self.recurrent_gate is not None
        return self._use_cudnn if self._is_working or not is_gated else False

    @use_cudnn.setter
    def use_cudnn(self, value):
        self._use_cudnn = value

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
        with self._gated_kernel():
            outputs = super(Growable, self).call(
                sequences,
                initial_state=initial_state,
                mask=mask,
                training=training,
            )
        if self.gate is None:
            return outputs
        if not self.return_state:
            return self.gate(outputs)
        # What an LSTM carries besides is read by itself only.
        output, state, *carry = outputs
        return (self.gate(output), self.gate(state), *carry)

    @contextlib.contextmanager
    def _gated_kernel(self):
        """Inside, the layer is being called, with its gate on its rows."""
        gate = self.gate or self.recurrent_gate
        self._is_working = True
        try:
            if gate is None:
                yield
                return
            name = "recurrent_kernel"
            kernel = gate(self.cell.recurrent_kernel, axis=0)
            with keras_internals.replaced_weight(self.cell, name, kernel):
                yield
        finally:
            self._is_working = False

    def as_plain_layer(self, **changes):
        layer = super().as_plain_layer(**changes)
        layer.use_cudnn = self._use_cudnn  # which the config leaves out
        return layer

"""Takes a change of structure back where no training step follows it."""

import keras


class FirstStep(keras.callbacks.Callback):
    """Remembers a model until its first training step is done.

    Data that do not fit show when the first step is traced, and a change of
    structure comes before that: a call of `fit` that is refused changes
    nothing.
    """

    def __init__(self):
        super().__init__()
        self._before = None

    def on_train_begin(self, logs=None):
        # A settled structure does not change: nothing to be taken back.
        settled = self.model.settled
        self._before = None if settled else self.model.get_weights()

    def on_train_batch_end(self, batch, logs=None):
        self._before = None

    def take_back(self):
        """Gives the model what it had, if no step was done."""
        before, self._before = self._before, None
        if before is not None:
            self.model.take_back(before)

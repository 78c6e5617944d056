"""Ties the growing of a model to the epochs of `fit`."""

import keras

from keras_growprune.training.growth_line import GrowthLine


class GrowthCallback(keras.callbacks.Callback):
    """Restructures at the beginning of epochs and adds to their logs.

    Where the schedule restructures more often, it does so within epochs too,
    before the first training step that lies in the next part. (In the first
    epoch over data of unknown length it cannot know which one that is.)

    `GrowPruneModel.fit` puts it before all other callbacks, so that these see
    the new structure and its entries in the logs.
    """

    def __init__(self, controller, growth_line="auto"):
        super().__init__()
        self._controller = controller
        self._line = GrowthLine(controller, growth_line)
        self._step = 0
        self._logs = {}

    @property
    def has_steps(self):
        """Whether this epoch has had a training step."""
        return self._step > 0

    def on_train_begin(self, logs=None):
        # Of an epoch, where nobody knows until one has ended. A backup that is
        # restored after this knows it.
        self._controller.state.steps = None
        self._controller.begin_run(self.params.get("steps"))
        self._line.begin(self.params.get("verbose", 0))

    def on_epoch_begin(self, epoch, logs=None):
        state = self._controller.state
        state.steps = self.params.get("steps") or state.steps
        self._step, self._part = 0, 0
        self._controller.begin_period()
        self._line.show()

    def on_train_batch_begin(self, batch, logs=None):
        self._begin_part(int(batch))
        self._controller.check_agreement()

    def _begin_part(self, step):
        """Begins a period, if a part of the epoch begins with a step."""
        state = self._controller.state
        parts = state.parts
        if parts == 1 or not state.steps or state.settled:
            return
        # The last part lasts until the epoch ends, however long that takes.
        passed = min(step * parts // state.steps, parts - 1)
        if passed > self._part:
            self._controller.end_period(self._logs, passed - self._part)
            self._part = passed
            self._controller.begin_period()

    def on_train_batch_end(self, batch, logs=None):
        self._step, self._logs = int(batch) + 1, logs or {}

    def on_test_begin(self, logs=None):
        self._controller.end_training_steps()  # validation is none

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        if self.has_steps:
            self._controller.state.steps = self._step
            logs.update(self._controller.end_epoch(logs))
        else:
            logs.update(self._controller.pass_over_epoch())

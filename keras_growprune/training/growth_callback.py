"""Ties the growing of a model to the epochs of `fit`."""

import keras


class GrowthCallback(keras.callbacks.Callback):
    """Restructures at the beginning of epochs and adds to their logs.

    `GrowPruneModel.fit` puts it before all other callbacks, so that these see
    the new structure and its entries in the logs.
    """

    def __init__(self, controller):
        super().__init__()
        self._controller = controller

    def on_epoch_begin(self, epoch, logs=None):
        self._controller.begin_epoch()

    def on_test_begin(self, logs=None):
        self._controller.end_training_steps()  # validation is none

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        logs.update(self._controller.end_epoch(logs))

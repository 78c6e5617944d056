"""The progress bar of `fit`, no longer than it has to be."""

import keras

# Entries of the logs that are for the history and for callbacks alone.
_HIDDEN = ("flops", "params", "price", "settled")


class ProgressBar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar without what fills a line of its own.

    Of the entries that growing adds to the logs it shows the cost; with all
    of them an epoch took two lines and more of a terminal.
    """

    def on_epoch_end(self, epoch, logs=None):
        logs = {k: v for k, v in (logs or {}).items() if k not in _HIDDEN}
        super().on_epoch_end(epoch, logs)


def progress_bars(callbacks, verbose):
    """Returns the progress bar that `fit` needs, as a list.

    Args:
        callbacks: Those that a user gave; none is needed beside a
            `ProgbarLogger` of theirs.
        verbose: Of `fit`.
    """
    kind = keras.callbacks.ProgbarLogger
    if not verbose or any(isinstance(each, kind) for each in callbacks):
        return []
    return [ProgressBar()]

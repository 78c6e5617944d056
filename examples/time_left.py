"""How long a training will take, said early."""

import time

import keras

# Less is not worth a line.
_WORTH_SAYING = 3.0


class TimeLeft(keras.callbacks.Callback):
    """Prints after the second epoch how long the others will take.

    The first one has the tracing, and tells little of the others. A growing
    network takes longer while it is large, and the guess is as rough.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        left = self.params["epochs"] - epoch - 1
        seconds = left * (time.perf_counter() - self._started)
        if epoch == 1 and seconds >= _WORTH_SAYING:
            print(f"  about {time_text(seconds)} left", flush=True)


def time_text(seconds):
    """A time such as `40 s`, `3 min` or `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

"""Where the seconds of an epoch go."""

import time


class Clock:
    """Times one epoch: restructuring, retracing, training steps."""

    def __init__(self):
        self._started = self._stopped = self._first_call_ended = None
        self._steps = 0.0
        self._restructure = 0.0
        self._first_call = None

    def start(self, restructure_seconds):
        """Starts the epoch, after its restructuring."""
        self._started = time.perf_counter()
        self._restructure = restructure_seconds
        self._first_call = None

    def time_first_call(self, function, iterator):
        """Calls a training function for the first time, which traces it."""
        started = time.perf_counter()
        result = function(iterator)
        self._first_call_ended = time.perf_counter()
        self._first_call = self._first_call_ended - started
        return result

    def stop(self):
        """Stops where the training steps end.

        Returns:
            False if it had stopped before; then nothing changes.
        """
        if self._started is None:
            return False
        self._stopped = time.perf_counter()
        self._steps = self._stopped - self._started
        self._started = None
        return True

    def seconds(self, calls):
        """Returns the seconds of the epoch, by what they went into.

        Args:
            calls: How often the training function was called.
        """
        retrace = 0.0
        if self._first_call is not None and calls > 1:
            others = self._stopped - self._first_call_ended
            retrace = max(self._first_call - others / (calls - 1), 0.0)
        return {
            "seconds": self._steps,
            "restructure_seconds": self._restructure,
            "retrace_seconds": retrace,
        }

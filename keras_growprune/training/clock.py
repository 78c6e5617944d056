"""Where the seconds of a period go."""

import time


class Clock:
    """Times one period: what growing adds, and the training steps.

    Args:
        functions: The `FunctionCache`, which knows what was traced.
    """

    def __init__(self, functions):
        self._functions = functions
        self._started = None
        self._steps = self._changing = self._measuring = 0.0
        self._traced_before = self._now_traced()

    def start(self, changing_seconds):
        """Starts the training steps of a period.

        Args:
            changing_seconds: What deciding and changing have taken.
        """
        self._started = time.perf_counter()
        self._steps = self._measuring = 0.0
        self._changing = changing_seconds

    def stop(self):
        """Stops where the training steps end.

        Returns:
            False if it had stopped before; then nothing changes.
        """
        if self._started is None:
            return False
        self._steps = time.perf_counter() - self._started
        self._started = None
        return True

    def measure(self, function):
        """Calls a function that measures something of the network."""
        started = time.perf_counter()
        function()
        self._measuring += time.perf_counter() - started

    def _now_traced(self):
        functions = self._functions
        return (
            dict(functions.traces),
            dict(functions.compilations),
            dict(functions.seconds),
        )

    def seconds(self, steps):
        """What the period's entry in the ledger tells of its time.

        Since the last call, so that validation, which comes when a period has
        ended, counts for the next one.

        Args:
            steps: How often the training function was called.
        """
        now, before = self._now_traced(), self._traced_before
        self._traced_before = now
        traces, compilations, took = (
            {kind: one[kind] - other[kind] for kind in one}
            for one, other in zip(now, before)
        )
        # A call that traces also does the step.
        new = max(traces["train"], compilations["train"])
        others = max(steps - new, 0)
        if others:
            rest = max(self._steps - took["train"], 0.0)
            took["train"] -= min(new * rest / others, took["train"])
        return {
            "seconds": self._steps,
            "restructure_seconds": self._changing,
            "retrace_seconds": sum(took.values()),
            "measure_seconds": self._measuring,
            "traces": sum(traces.values()),
            "compilations": sum(compilations.values()),
        }

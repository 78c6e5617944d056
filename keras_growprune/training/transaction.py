"""Steps that are all done, or none of them."""

import contextlib
import signal
import threading


class Transaction:
    """Undoes what was done inside it, if it does not come to its end.

    Whatever breaks it off (an error, Ctrl-C, a full memory), the steps done
    so far are undone, the last one first, and the exception goes on.

    Example:

    ```python
    with Transaction() as transaction:
        transaction.do(lambda: x.assign(1), undo=lambda: x.assign(0))
        transaction.do(lambda: y.assign(1), undo=lambda: y.assign(0))
    ```
    """

    def __init__(self):
        self._undo = []
        self._at_the_end = []

    def do(self, action, undo):
        """Does a step.

        Args:
            action: Function without arguments.
            undo: Function that makes good for it, also where the step was
                done in part or not at all.
        """
        self._undo.append(undo)
        action()

    def at_the_end(self, action):
        """Does something once all steps are done, and never before."""
        self._at_the_end.append(action)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is not None:
            with _without_interrupts():
                while self._undo:
                    self._undo.pop()()
            return
        self._undo.clear()
        for action in self._at_the_end:
            action()


@contextlib.contextmanager
def _without_interrupts():
    """Inside, Ctrl-C waits until the end."""
    if threading.current_thread() is not threading.main_thread():
        yield  # never receives any
        return
    waiting = []
    before = signal.signal(signal.SIGINT, lambda *args: waiting.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting and callable(before):
            before(*waiting[0])

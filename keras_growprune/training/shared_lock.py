"""A lock that many may share, or one may have alone."""

import contextlib
import threading


class SharedLock:
    """Lets a network answer in several threads, but not while it changes.

    Whoever calls the network shares the lock, a change has it alone. A thread
    never waits for itself.
    """

    def __init__(self):
        self._condition = threading.Condition()
        self._sharing = {}  # how often, by thread
        self._alone, self._depth = None, 0
        self._waiting = set()  # threads that want to have it alone

    # An interrupt may come at any line: what it leaves behind is set to what
    # was before, rather than counted down.

    @contextlib.contextmanager
    def shared(self):
        me = threading.get_ident()
        before = self._sharing.get(me, 0)
        try:
            with self._condition:
                self._condition.wait_for(lambda: self._may_share(me))
                self._sharing[me] = before + 1
            yield
        finally:
            with self._condition:
                self._sharing[me] = before
                if not before:
                    del self._sharing[me]
                self._condition.notify_all()

    def _may_share(self, thread):
        if self._alone is not None:
            return self._alone == thread
        # Nobody joins while somebody waits to have it alone.
        return not self._waiting or thread in self._sharing

    @contextlib.contextmanager
    def alone(self):
        me = threading.get_ident()
        before = self._depth if self._alone == me else 0
        try:
            with self._condition:
                self._waiting.add(me)
                self._condition.wait_for(
                    lambda: (
                        self._alone in (None, me)
                        and not set(self._sharing) - {me}
                    )
                )
                self._alone, self._depth = me, before + 1
                self._waiting.discard(me)
            yield
        finally:
            with self._condition:
                self._waiting.discard(me)
                if self._alone == me:
                    self._depth = before
                    self._alone = me if before else None
                self._condition.notify_all()

"""A network answers in several threads, and changes in none meanwhile."""

import contextlib
import itertools
import sys
import threading

import pytest

from keras_growprune.training.shared_lock import SharedLock

SOON = 5.0  # seconds; what is to happen happens long before


def runs(function):
    """Runs a function in another thread; returns the thread."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


@contextlib.contextmanager
def held(hold):
    """Inside, another thread holds a lock."""
    has_it, may_go = threading.Event(), threading.Event()

    def work():
        with hold():
            has_it.set()
            may_go.wait(SOON)

    thread = runs(work)
    assert has_it.wait(SOON)
    try:
        yield may_go
    finally:
        may_go.set()
        thread.join(SOON)
        assert not thread.is_alive()


def can_have(hold, seconds=0.1):
    """Whether another thread gets a lock, and the thread that tries."""
    got_it = threading.Event()

    def work():
        with hold():
            got_it.set()

    thread = runs(work)
    return got_it.wait(seconds), thread


def test_many_share_it():
    lock = SharedLock()
    with held(lock.shared), held(lock.shared):
        assert can_have(lock.shared, SOON)[0]


@pytest.mark.parametrize("first,second", [(0, 1), (1, 0), (1, 1)])
def test_whoever_has_it_alone_has_it_alone(first, second):
    lock = SharedLock()
    ways = lock.shared, lock.alone
    with held(ways[first]) as may_go:
        got_it, thread = can_have(ways[second])
        assert not got_it
        may_go.set()
        thread.join(SOON)
        assert not thread.is_alive()


def test_a_thread_never_waits_for_itself():
    lock = SharedLock()

    def work():
        with lock.shared(), lock.alone(), lock.shared(), lock.alone():
            pass
        with lock.alone(), lock.shared(), lock.alone():
            pass

    thread = runs(work)
    thread.join(SOON)
    assert not thread.is_alive()


def test_who_waits_to_have_it_alone_is_not_passed_by():
    lock = SharedLock()
    with held(lock.shared):
        got_it, writer = can_have(lock.alone)
        assert not got_it
        newcomer_got_it, newcomer = can_have(lock.shared)
        assert not newcomer_got_it
    for thread in (writer, newcomer):
        thread.join(SOON)
        assert not thread.is_alive()


def test_who_has_it_alone_may_share_while_another_waits():
    lock = SharedLock()
    done = threading.Event()

    def work():
        with lock.alone():
            has_it.set()
            waits.wait(SOON)
            with lock.shared():
                done.set()

    has_it, waits = threading.Event(), threading.Event()
    first = runs(work)
    assert has_it.wait(SOON)
    _, second = can_have(lock.alone)
    waits.set()
    assert done.wait(SOON)
    for thread in (first, second):
        thread.join(SOON)
        assert not thread.is_alive()


def test_an_error_gives_it_back():
    lock = SharedLock()
    for hold in (lock.shared, lock.alone):
        with contextlib.suppress(KeyError), hold():
            raise KeyError
        assert can_have(lock.alone, SOON)[0]


@pytest.mark.parametrize("name", ["shared", "alone"])
def test_an_interrupt_while_it_is_taken_leaves_it_free(name):
    """At any line of the lock, until it is taken."""
    for number in itertools.count():
        lock, lines, taken = SharedLock(), itertools.count(), []

        def trace(
            frame, event, argument, lines=lines, number=number, taken=taken
        ):
            if not frame.f_code.co_filename.endswith("shared_lock.py"):
                return None
            if event == "line" and not taken and next(lines) == number:
                raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            with getattr(lock, name)():
                taken.append(True)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        # (Python itself may leave the lock inside a condition taken.)
        assert lock._alone is None
        assert not lock._waiting
        assert not lock._sharing
        if taken:
            break
    assert number > 4

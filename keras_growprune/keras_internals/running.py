"""What each thread does at present with models and layers that grow."""

import collections
import contextlib
import threading

from keras_growprune import backend

_running = threading.local()
# Of several replicas each runs in a thread of its own, and hands what they do
# together to further threads, while it waits.
_of_replicas = collections.Counter()


@contextlib.contextmanager
def doing(what, owner):
    """Inside, in this thread, an object does something.

    In a step of several replicas: in all threads.

    Args:
        what: `"own step"`: a model trains, tests or predicts by itself.
            `"step"`: an optimizer changes variables of a growing model.
            `"step of all replicas"`: it is given what all replicas know.
            `"plan"`: a model runs as its plan says. `"call"`: a layer whose
            width may change is called.
        owner: The object.
    """
    key = what, id(owner)
    if backend.replica_count() > 1:
        _of_replicas[key] += 1
        try:
            yield
        finally:
            _of_replicas[key] -= 1
            if not _of_replicas[key]:
                del _of_replicas[key]
        return
    before = getattr(_running, "doing", ())
    _running.doing = (*before, key)
    try:
        yield
    finally:
        _running.doing = before


def is_doing(what, owner):
    key = what, id(owner)
    return key in getattr(_running, "doing", ()) or key in _of_replicas


def widths_are_unknown():
    """Whether what is computed now is to serve networks of other widths.

    Not where somebody else traces something over our variables: an optimizer
    makes its own of the shapes that they tell.
    """
    is_running = getattr(_running, "doing", ()) or _of_replicas
    return backend.is_tracing() and bool(is_running)

"""What each thread does at present with models and layers that grow."""

import contextlib
import threading

from keras_growprune import backend

_running = threading.local()


@contextlib.contextmanager
def doing(what, owner):
    """Inside, in this thread, an object does something.

    Args:
        what: `"own step"`: a model trains, tests or predicts by itself.
            `"step"`: an optimizer changes variables of a growing model.
            `"plan"`: a model runs as its plan says. `"call"`: a layer whose
            width may change is called.
        owner: The object.
    """
    before = getattr(_running, "doing", ())
    _running.doing = (*before, (what, id(owner)))
    try:
        yield
    finally:
        _running.doing = before


def is_doing(what, owner):
    return (what, id(owner)) in getattr(_running, "doing", ())


def widths_are_unknown():
    """Whether what is computed now is to serve networks of other widths.

    Not where somebody else traces something over our variables: an optimizer
    makes its own of the shapes that they tell.
    """
    return backend.is_tracing() and bool(getattr(_running, "doing", ()))

"""Factors that act on what layers compute, in the step that is running."""

import contextlib
import threading

_running = threading.local()


@contextlib.contextmanager
def acting(factor_of):
    """Inside, in this thread, layers multiply their outputs by factors.

    Args:
        factor_of: Function of a layer that returns a function `(outputs,
            axis=None)`, which multiplies outputs, or None where nothing acts.
    """
    before = getattr(_running, "factor_of", None)
    _running.factor_of = factor_of
    try:
        yield
    finally:
        _running.factor_of = before


def factor_on(layer):
    """What acts on a layer's outputs now: see `acting`."""
    factor_of = getattr(_running, "factor_of", None)
    return None if factor_of is None else factor_of(layer)

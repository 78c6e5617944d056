"""Layers that are called on other arguments than they are given."""

import contextlib


@contextlib.contextmanager
def changing_arguments(layers, change):
    """Inside, layers are called on what a function makes of the arguments.

    Args:
        layers: List of layers.
        change: Function of `(args, kwargs)` that returns both.
    """
    before = [(layer, type(layer)) for layer in layers]
    try:
        for layer, kind in before:
            layer.__class__ = _with_change(kind, change)
        yield
    finally:
        for layer, kind in before:
            layer.__class__ = kind


def _with_change(kind, change):
    def __call__(self, *args, **kwargs):
        args, kwargs = change(args, kwargs)
        return kind.__call__(self, *args, **kwargs)

    return type(kind.__name__, (kind,), {"__call__": __call__})

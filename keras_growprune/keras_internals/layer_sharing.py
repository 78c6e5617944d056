"""Other living models that share layers."""

import ctypes
import gc
import sys
import weakref

import keras


class LayerSharing:
    """Finds other living models that have one of a model's layers.

    To look through all objects takes as long as a training step. A model that
    takes up a layer refers to it, and one that takes up the layers' own model
    calls it: as long as the layers' reference counts stay the same and nobody
    called the model, nothing new is there to be found.

    Args:
        layers: The layers to look for.
        model: Their own model, a `LazyFunctional`.
    """

    def __init__(self, layers, model):
        self._layers = list(layers)
        self._model = weakref.ref(model)
        self._counts_without = None

    def find(self):
        """Returns the list of these models."""
        was_called = self._model().was_called_by_others
        if self._count() == self._counts_without and not was_called:
            return []
        found = self._search()
        if found:  # some may be garbage that is only not collected yet
            found = None
            gc.collect()
            found = self._search()
        self._counts_without = None if found else self._count()
        self._model().was_called_by_others = False
        return found

    def _count(self):
        return [sys.getrefcount(layer) for layer in self._layers]

    def _search(self):
        ours = {id(layer) for layer in self._layers}
        found = []
        types = _subclasses(keras.Model)
        # An instance refers to its class. Asking for that is faster than to
        # look at all objects, and `isinstance` wakes up lazy modules.
        for candidate in _referrers(types):
            if type(candidate) not in types or candidate is self._model():
                continue
            try:
                parts = candidate._flatten_layers(include_self=False)
                shares = any(id(layer) in ours for layer in parts)
            except AttributeError:  # under construction
                continue
            if shares:
                found.append(candidate)
        return found


def _referrers(objects):
    """Objects that refer to some others.

    Some objects of TensorFlow make their `__dict__` when they are looked
    through. A collection of garbage that this sets off takes the lists apart
    that are being walked along, and the process ends with a segmentation
    fault.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return gc.get_referrers(*objects)
    finally:
        if was_enabled:
            gc.enable()


def _subclasses(base):
    found = {base}
    for each in base.__subclasses__():
        found |= _subclasses(each)
    return found


def release_memory():
    """Gives the memory of dropped traces back to the operating system."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except Exception:  # not glibc: each platform says so in its own way
        return

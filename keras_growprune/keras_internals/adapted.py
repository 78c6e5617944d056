"""Layers whose settings depend on the step that calls them."""

import contextlib

from keras_growprune.keras_internals.running import widths_are_unknown

_SETTINGS, _CALL = "_settings_of_step", "_call_of_unknown_sizes"
_classes = {}


class Adaptable:
    """Mixin of layers of our own, which keep their class.

    It has a `Setting` for each attribute that may be adapted, and its `call`
    calls `form_of_call` where that returns anything.
    """

    def form_of_call(self):
        """Returns what takes the place of `call` now, a function, or None."""
        return vars(self).get(_CALL) if widths_are_unknown() else None


class _Adapted:
    """Mixin of the class that an adapted layer has for the time being.

    Nothing is ever set on a layer while it is called, which several threads
    may do at once. Whoever makes a layer of this class gets the original.
    """

    def __new__(cls, *args, **kwargs):
        return cls.original(*args, **kwargs)

    @classmethod
    def from_config(cls, config):
        return cls.original.from_config(config)


def _call_while_tracing(layer, *args, **kwargs):
    form = vars(layer)[_CALL]
    if widths_are_unknown():
        return form(layer, *args, **kwargs)
    return super(_Adapted, layer).call(*args, **kwargs)


class Setting:
    """An attribute that may have another value in the step that reads it."""

    def __init__(self, name):
        self._name = name

    def __get__(self, layer, owner=None):
        if layer is None:
            return self
        try:
            value = vars(layer)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None
        setting = vars(layer).get(_SETTINGS, {}).get(self._name)
        return value if setting is None else setting(value)

    def __set__(self, layer, value):
        vars(layer)[self._name] = value


def adapt(layer, call=None, **settings):
    """Lets attributes of a layer depend on the step that reads them.

    Args:
        layer: A layer or an operation. Its `__class__` changes, to one with
            the same name, unless it is `Adaptable`.
        call: Function of the layer and the arguments of its `call`, which
            takes the place of `call` while a function is traced; or None.
        **settings: Maps names of attributes to functions of the attribute's
            own value, which return the value that is read.
    """
    known = vars(layer).get(_SETTINGS, {})
    settings = {**known, **settings}
    call = call or vars(layer).get(_CALL)
    # Past Keras, which would track the dict and wrap what is in it.
    vars(layer)[_SETTINGS], vars(layer)[_CALL] = settings, call
    if isinstance(layer, Adaptable):
        return
    kind = original_class(layer)
    key = (kind, frozenset(settings), call is not None)
    if key not in _classes:
        members = {name: Setting(name) for name in settings}
        if call is not None:
            members["call"] = _call_while_tracing
        for name in ("__module__", "__qualname__", "__doc__"):
            members[name] = getattr(kind, name)
        members["original"] = kind
        _classes[key] = type(kind.__name__, (_Adapted, kind), members)
    layer.__class__ = _classes[key]


def original_class(layer):
    """The class that a layer had before it was adapted."""
    return getattr(type(layer), "original", type(layer))


@contextlib.contextmanager
def as_written(layers):
    """Inside, layers have their original classes, as files name them."""
    adapted = [(each, type(each)) for each in layers]
    adapted = [pair for pair in adapted if issubclass(pair[1], _Adapted)]
    try:
        for layer, kind in adapted:
            layer.__class__ = kind.original
        yield
    finally:
        for layer, kind in adapted:
            layer.__class__ = kind

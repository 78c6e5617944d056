"""Whose weight penalties a loss has, where it was not made here."""

import contextlib
import functools

import keras


class _Seen(keras.regularizers.Regularizer):
    """A regularizer that notes whose penalty it is asked for."""

    def __init__(self, own, note):
        self.own, self._note = own, note

    def __call__(self, value):
        self._note()
        return self.own(value)


@contextlib.contextmanager
def seeing_penalties(variables, seen):
    """Inside, it is noted which variables were asked for their penalties.

    A loss that nobody added `model.losses` to has none.

    Args:
        variables: Variables, with or without regularizers.
        seen: Set to put their `id`s into.
    """
    with contextlib.ExitStack() as undo:
        for variable in variables:
            own = variable.regularizer
            if own is not None:
                note = functools.partial(seen.add, id(variable))
                variable.regularizer = _Seen(own, note)
                undo.callback(setattr, variable, "regularizer", own)
        yield


def penalty_of(variable):
    """The regularizer of a variable, as it was given, or None."""
    return getattr(variable.regularizer, "own", variable.regularizer)

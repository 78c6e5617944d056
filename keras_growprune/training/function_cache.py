"""Traced functions of a model, one set for each set of present layers."""

import collections
import time

from keras_growprune import backend
from keras_growprune import keras_internals

# Of each set of layers the functions hold some MiB of host memory.
_MOST_SETS = 32
KINDS = ("train", "test", "predict")


class FunctionCache:
    """Keeps the functions of a model, and finds them again.

    Widths need no function of their own. Layers that leave or come do; when
    the same layers are there again, so are their functions.

    Args:
        model: The model. Its attributes `train_function`, `test_function` and
            `predict_function` are those of the present key.
        key: What the functions of the present network go by.

    Attributes:
        traces: How often each kind of step was traced, a dict.
        seconds: How long the calls took that traced something, a dict.
    """

    def __init__(self, model, key):
        self._model = model
        self._key = key
        self._sets = collections.OrderedDict()
        self.traces = dict.fromkeys(KINDS, 0)
        self.seconds = dict.fromkeys(KINDS, 0.0)

    def wrap(self, kind, function):
        """Keeps a new function of the present network.

        Returns:
            A function that does the same, and notes when it is traced.
        """

        def call(*args, **kwargs):
            before = self.traces[kind]
            started = time.perf_counter()
            result = function(*args, **kwargs)
            if self.traces[kind] != before:
                self.seconds[kind] += time.perf_counter() - started
            return result

        self._sets.setdefault(self._key, {})[kind] = call
        return call

    def note_trace(self, kind):
        """Notes that a step is being traced, if it is not just run."""
        self.traces[kind] += backend.is_tracing()

    def clear(self):
        """Drops all functions: the model was compiled anew."""
        self._sets.clear()

    def use(self, key, transaction):
        """Gives the model the functions of another key.

        Args:
            key: The key of the network that there will be.
            transaction: The `Transaction` that it is part of.
        """
        before = self._key
        trains = self._model.train_function is not None
        self._write_back()
        transaction.do(
            lambda: self._set(key, trains), undo=lambda: self._set(before, trains)
        )
        transaction.at_the_end(self._drop_oldest)

    def _set(self, key, trains):
        self._key = key
        functions = self._sets.get(key, {})
        for kind in KINDS:
            setattr(self._model, f"{kind}_function", functions.get(kind))
        if trains and "train" not in functions:
            self._model.make_train_function()

    def _write_back(self):
        """Takes note of functions that the user has set or dropped."""
        functions = {
            kind: getattr(self._model, f"{kind}_function") for kind in KINDS
        }
        self._sets[self._key] = {
            kind: each for kind, each in functions.items() if each is not None
        }

    def _drop_oldest(self):
        self._sets.setdefault(self._key, {})
        self._sets.move_to_end(self._key)
        if len(self._sets) > _MOST_SETS:
            self._sets.popitem(last=False)
            keras_internals.release_memory()

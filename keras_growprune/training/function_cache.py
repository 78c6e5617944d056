"""Traced functions of a model, one set for each set of present layers."""

import collections
import time

from keras_growprune import backend
from keras_growprune import keras_internals
from keras_growprune.training.other_trainers.following import Following

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
        key_of: Function that tells what functions of the present network go
            by, whoever's they are; the model's own go by whether XLA compiles
            them too.
        structure_of: Function that returns the present `Structure`.
        lock: The `SharedLock` of the network.

    Attributes:
        traces: How often each kind of step was traced, a dict.
        compilations: How often XLA compiled each kind of step, a dict.
        seconds: How long the calls took that traced or compiled, a dict.
    """

    def __init__(self, model, key_of, structure_of, lock):
        self._model = model
        self._lock = lock
        self._key_of, self._structure_of = key_of, structure_of
        self._key = None
        self._sets = collections.OrderedDict()
        self._compiled = set()
        self._most = _MOST_SETS
        self.traces = dict.fromkeys(KINDS, 0)
        self.compilations = dict.fromkeys(KINDS, 0)
        self.seconds = dict.fromkeys(KINDS, 0.0)

    def wrap(self, kind, function):
        """Keeps a new function of the present network.

        Returns:
            A function that does the same, and notes when it is traced or
            compiled.
        """
        self._key = self._own_key()
        call = self._noting(kind, function, self._model.jit_compile)
        self._sets.setdefault(self._key, {})[kind] = call
        return call

    def _own_key(self):
        return self._key_of(), bool(self._model.jit_compile)

    def following(self, kind, make):
        """A function of somebody else that follows the network.

        Args:
            kind: Of which kind of step it is.
            make: Function that returns it, to be traced when it is called.
                It is made anew where no trace of it serves the network.

        Returns:
            A `Following`.
        """
        result = Following(
            lambda: self._noting(kind, make(), compiles=False),
            lambda: self._most,
        )
        self.let_follow(result)
        return result

    def let_follow(self, function):
        """Lets a `Following` of other networks follow this one too."""
        function.keys[id(self)] = self._key_of

    def _noting(self, kind, function, compiles):
        """A function that notes when it is traced or compiled."""

        def call(*args, **kwargs):
            before = self.traces[kind]
            is_new = compiles and self._is_compiled_now(kind)
            started = time.perf_counter()
            with self._lock.shared():
                result = function(*args, **kwargs)
            if is_new or self.traces[kind] != before:
                self.seconds[kind] += time.perf_counter() - started
            return result

        return call

    def _is_compiled_now(self, kind):
        """Whether XLA meets the present shapes for the first time."""
        structure = self._structure_of()
        key = kind, structure.units.tobytes(), structure.gates.tobytes()
        is_new = key not in self._compiled
        self._compiled.add(key)
        self.compilations[kind] += is_new
        return is_new

    def note_trace(self, kind):
        """Notes that a step is being traced, if it is not just run."""
        is_first = backend.is_first_replica()
        self.traces[kind] += backend.is_tracing() and is_first

    def clear(self):
        """Drops all functions: the model was compiled anew."""
        self._sets.clear()
        self._compiled.clear()

    def follow(self, transaction, keeps_others):
        """Gives the model the functions of the network that there is now.

        Args:
            transaction: The `Transaction` that it is part of.
            keeps_others: Whether the functions of other networks can be found
                again.
        """
        before, key = self._key, self._own_key()
        if before == key:
            return
        self._write_back()
        kinds = list(self._sets[before])
        transaction.do(
            lambda: self._set(key, kinds),
            undo=lambda: self._set(before, kinds),
        )
        self._most = _MOST_SETS if keeps_others else 1
        transaction.at_the_end(self._drop_oldest)

    def _set(self, key, kinds):
        """Sets the functions of a key, and makes those of some kinds."""
        self._key = key
        functions = self._sets.get(key, {})
        for kind in KINDS:
            if kind in kinds and kind not in functions:
                # Never none for a moment: another thread may be predicting.
                getattr(self._model, f"make_{kind}_function")(force=True)
            else:
                name = f"{kind}_function"
                setattr(self._model, name, functions.get(kind))

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
        if len(self._sets) > self._most:
            while len(self._sets) > self._most:
                self._sets.popitem(last=False)
            keras_internals.release_memory()

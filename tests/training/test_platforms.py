"""What only some platforms can do ends no run on the others."""

import ctypes
import platform

import pytest

from keras_growprune import keras_internals
from keras_growprune.devices import denormals


def fails(error):
    def load(*args, **kwargs):
        raise error

    return load


class WithoutFunctions:
    """A library of C that has other functions."""


@pytest.mark.parametrize(
    "library",
    [
        fails(TypeError("argument of type 'NoneType' is not iterable")),
        fails(FileNotFoundError("Could not find module")),
        fails(RuntimeError("no libraries here")),
        lambda *args: WithoutFunctions(),
    ],
)
def test_no_library_of_c_is_needed(library, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", library)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.31"))
    denormals._library.cache_clear()
    try:
        with denormals.denormals_flushed():
            pass
    finally:
        denormals._library.cache_clear()
    keras_internals.release_memory()

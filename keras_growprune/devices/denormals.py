"""Floats too small to be normal, which some processors compute slowly."""

import contextlib
import ctypes
import functools
import platform

# Of glibc on x86-64: the control word of vector arithmetic stands behind the
# 28 bytes of the older unit's, in `fenv_t`; flush to zero, denormals are zero.
_LENGTH, _PLACE, _FLUSH = 32, 28, 0x8040


@functools.cache
def _library():
    """The C library of mathematics, where its layout is known."""
    known = platform.machine() in ("x86_64", "AMD64")
    try:
        if not known or platform.libc_ver()[0] != "glibc":
            return None
        library = ctypes.CDLL("libm.so.6")
        return library if library.fegetenv and library.fesetenv else None
    except Exception:  # no measurement is worth a run
        return None


@contextlib.contextmanager
def denormals_flushed():
    """Inside, this thread takes denormal numbers for zero, where it can.

    An x86 processor takes up to a hundred times as long for them. LiteRT reads
    past the ends of rows, where whatever the memory held before may be
    denormal: the same network in two interpreters then differs by up to five
    times. TensorFlow's own threads flush them always, and the processors of
    phones do not mind.
    """
    library = _library()
    before = ctypes.create_string_buffer(_LENGTH)
    if library is None or library.fegetenv(before):
        yield
        return
    inside = ctypes.create_string_buffer(before.raw, _LENGTH)
    word = ctypes.c_uint32.from_buffer(inside, _PLACE)
    word.value |= _FLUSH
    library.fesetenv(inside)
    try:
        yield
    finally:
        library.fesetenv(before)

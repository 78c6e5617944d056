"""Denormal numbers while networks are timed."""

import platform

import numpy as np
import pytest

from keras_growprune.devices import measurement
from keras_growprune.devices.denormals import denormals_flushed

TINY = np.full(64, 1e-40, "float32")  # smaller than the least normal number


known_layout = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc",
    reason="another layout",
)


@known_layout
def test_denormals_count_as_zero_inside_and_only_there():
    one = np.float32(1)
    assert (TINY * one).all()
    with denormals_flushed():
        assert not (TINY * one).any()
    assert (TINY * one).all()
    with pytest.raises(KeyError), denormals_flushed():
        raise KeyError  # comes out, and the setting goes back
    assert (TINY * one).all()


@known_layout
def test_they_are_flushed_while_a_network_is_timed():
    seen = []
    measurement._timed(lambda: seen.append((TINY * np.float32(1)).any()))
    assert seen and not any(seen)


def test_where_nothing_is_known_nothing_changes(monkeypatch):
    monkeypatch.setattr(
        "keras_growprune.devices.denormals._library", lambda: None
    )
    with denormals_flushed():
        assert (TINY * np.float32(1)).all()

"""Peak memory, as the benchmarks report it."""

import pathlib

import memory
import numpy as np
import pytest


@pytest.mark.skipif(
    not pathlib.Path("/proc/self/status").exists(), reason="not Linux"
)
def test_the_peak_counts_what_came_after_the_last_one_was_forgotten():
    large = np.ones(2**25)  # 256 MiB
    assert memory.peak_mib() > 256
    before = memory.peak_mib()
    del large
    memory.forget_peak()
    assert memory.peak_mib() < before - 200

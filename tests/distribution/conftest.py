"""What tests of several replicas leave behind."""

import gc

import pytest


@pytest.fixture(autouse=True, scope="module")
def left_behind_is_not_looked_at_again():
    """TensorFlow keeps what was traced under a strategy.

    The library collects garbage at each new trace, and would look at all of it
    each time.
    """
    yield
    gc.collect()
    gc.freeze()

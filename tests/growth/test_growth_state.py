import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_growprune.growth import GrowthState

ARRAYS = (
    "units",
    "gates",
    "saliency",
    "gate_saliency",
    "logits",
    "gate_logits",
    "ages",
    "gate_ages",
    "scales",
    "gate_scales",
)
NAN = float("nan")


def assert_equal(first, second):
    for name in ARRAYS:
        a, b = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(a, b, err_msg=name)
        assert a.dtype == b.dtype, name
    for name in ("price", "period", "periods", "settled"):
        assert getattr(first, name) == getattr(second, name), name


def test_a_new_state_knows_nothing():
    state = GrowthState([1, 0, 1], [0], seed=1)
    assert state.units.tolist() == [True, False, True]
    assert state.gates.tolist() == [False]
    assert np.isnan(state.saliency).all()
    assert np.isnan(state.gate_saliency).all()
    assert state.ages.tolist() == [0, 0, 0]
    assert (state.price, state.period, state.periods) == (0.0, 0, 0)
    assert state.settled is False


def test_observing_averages_by_halves():
    state = GrowthState(np.ones(3), np.ones(1), seed=1)
    state.observe([4.0, NAN, 1.0], [2.0])
    state.observe([2.0, 6.0, NAN], [6.0])
    assert state.saliency.tolist() == [3.0, 6.0, 1.0]
    assert state.gate_saliency.tolist() == [4.0]


def test_only_what_is_in_the_network_grows_older():
    state = GrowthState([1, 0], [1, 0], seed=1)
    state.end_period(state.units, state.gates)
    state.units = np.array([True, True])
    state.end_period(state.units, state.gates)
    assert state.ages.tolist() == [2, 1]
    assert state.gate_ages.tolist() == [2, 0]
    assert state.period == 2


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**16), st.integers(0, 9), st.integers(0, 3))
def test_arrays_give_back_exactly_the_same_state(seed, units, gates):
    random = np.random.default_rng(seed)
    state = GrowthState(random.random(units) < 0.5, np.ones(gates), seed)
    state.observe(random.normal(size=units), random.normal(size=gates))
    state.saliency[: units // 2] = NAN
    state.logits = random.normal(size=units)
    state.scales = random.normal(size=units)
    state.gate_scales = random.normal(size=gates)
    state.gate_logits = random.normal(size=gates)
    state.price = float(random.normal()) / 3
    state.periods = int(random.integers(1, 99))
    state.settled = bool(random.random() < 0.5)
    state.end_period(state.units, state.gates)
    state.random.random(seed % 7)
    arrays = state.to_arrays()
    assert all(isinstance(value, np.ndarray) for value in arrays.values())
    again = GrowthState.from_arrays(arrays)
    assert_equal(state, again)
    expected = state.random.random(5)
    np.testing.assert_array_equal(again.random.random(5), expected)
    assert again.random.integers(2**31) == state.random.integers(2**31)


def test_normal_numbers_go_on_in_the_middle_of_a_pair():
    state = GrowthState(np.ones(1), np.ones(0), seed=4)
    state.random.integers(10, dtype="int8")  # leaves a half-used word
    again = GrowthState.from_arrays(state.to_arrays())
    for _ in range(5):
        drawn = state.random.integers(100, dtype="int8")
        assert again.random.integers(100, dtype="int8") == drawn


def test_arrays_are_copies():
    state = GrowthState(np.ones(2), np.ones(0), seed=1)
    arrays = state.to_arrays()
    state.logits[:] = 7.0
    assert arrays["logits"].tolist() == [0.0, 0.0]
    again = GrowthState.from_arrays(arrays)
    again.logits[:] = 3.0
    assert arrays["logits"].tolist() == [0.0, 0.0]


def test_numpy_numbers_can_be_saved_too():
    state = GrowthState(np.ones(2), np.ones(0), seed=1)
    state.periods = np.int64(5)
    state.price = np.float32(0.5)
    again = GrowthState.from_arrays(state.to_arrays())
    assert (again.periods, again.price) == (5, 0.5)


def test_a_state_without_its_units_is_refused():
    arrays = GrowthState(np.ones(2), np.ones(0), seed=1).to_arrays()
    del arrays["units"]
    with pytest.raises(KeyError, match="units"):
        GrowthState.from_arrays(arrays)

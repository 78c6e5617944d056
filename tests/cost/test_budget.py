import types

import numpy as np
import pytest

from keras_growprune import Budget

COST = types.SimpleNamespace(full=200.0)


def test_a_float_is_a_fraction_of_the_full_network():
    budget = Budget(flops=0.25)
    assert (budget.measure, budget.value) == ("flops", 0.25)
    assert budget.limit(COST) == 50.0


def test_an_integer_is_an_absolute_count():
    budget = Budget(params=150)
    assert (budget.measure, budget.value) == ("params", 150)
    assert budget.limit(COST) == 150.0


def test_one_is_all_as_a_float_and_a_single_one_as_an_integer():
    assert Budget(flops=1.0).limit(COST) == 200.0
    assert Budget(flops=1).limit(COST) == 1.0


@pytest.mark.parametrize(
    "value, limit",
    [
        (np.float32(0.5), 100.0),
        (np.float64(0.5), 100.0),
        (np.int64(7), 7.0),
        (np.int32(1), 1.0),
    ],
)
def test_numpy_numbers_mean_what_python_numbers_mean(value, limit):
    budget = Budget(flops=value)
    assert budget.limit(COST) == limit
    assert type(budget.value) in (int, float)


@pytest.mark.parametrize("name", ["flops", "params"])
@pytest.mark.parametrize(
    "value",
    [0.0, -0.5, 1.5, 1e6, 0, -3, True, "half", float("nan"), float("inf"), 1j],
)
def test_what_is_no_fraction_and_no_count_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` must be a float.*{name}="):
        Budget(**{name: value})


@pytest.mark.parametrize("name", ["flops", "params", "latency"])
def test_per_cent_are_told_as_a_fraction(name):
    with pytest.raises(ValueError, match=r"12\.5 % is 0\.125"):
        Budget(**{name: 12.5}, profile=None)


def test_exactly_one_measure_is_needed():
    with pytest.raises(ValueError, match="exactly one.*flops=None"):
        Budget()
    with pytest.raises(ValueError, match="exactly one.*flops=0.5, params=7"):
        Budget(flops=0.5, params=7)


@pytest.mark.parametrize("config", [{"flops": 0.5}, {"params": 1000}])
def test_config_round_trip_keeps_measure_and_meaning(config):
    again = Budget.from_config(Budget(**config).get_config())
    assert again.get_config() == config
    ((name, value),) = config.items()
    assert type(again.value) is type(value)
    assert repr(again) == f"Budget({name}={value})"

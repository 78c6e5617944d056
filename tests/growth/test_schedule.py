import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_growprune.growth import GrowthSchedule


def targets(schedule, epochs, budget):
    return [schedule.target(e, epochs, budget) for e in range(epochs)]


def restructured(schedule, epochs):
    return [e for e in range(epochs) if schedule.restructures(e, epochs)]


def test_defaults_go_from_seed_past_the_budget_and_back():
    rising = [0.25, 0.3875, 0.525, 0.6625]
    falling = [0.8, 0.74, 0.68, 0.62, 0.56]
    assert targets(GrowthSchedule(), 20, 0.5) == pytest.approx(
        rising + falling + [0.5] * 11, abs=1e-12
    )


def test_budget_above_the_peak_raises_the_peak_and_only_grows():
    rising = [0.25, 0.4125, 0.575, 0.7375]
    found = targets(GrowthSchedule(), 20, 0.9)
    assert found == pytest.approx(rising + [0.9] * 16, abs=1e-12)
    assert found == sorted(found)


def test_one_epoch_trains_the_final_structure():
    schedule = GrowthSchedule()
    assert schedule.settle_epoch(1) == 0
    assert targets(schedule, 1, 0.5) == [0.5]
    assert restructured(schedule, 1) == [0]


def test_two_epochs_train_the_seed_and_then_the_final_structure():
    schedule = GrowthSchedule()
    assert schedule.settle_epoch(2) == 1
    assert targets(schedule, 2, 0.5) == [0.25, 0.5]
    assert restructured(schedule, 2) == [1]


@pytest.mark.parametrize(
    "epochs, expected", [(20, 9), (60, 27), (40, 18), (10, 5), (36, 17)]
)
def test_settle_epoch_is_rounded_up_but_not_by_float_noise(epochs, expected):
    assert GrowthSchedule().settle_epoch(epochs) == expected


def test_settling_at_the_end_leaves_one_epoch_of_final_structure():
    assert GrowthSchedule(settle_at=1.0).settle_epoch(10) == 9


def test_restructures_every_epoch_until_settled():
    assert restructured(GrowthSchedule(), 20) == list(range(1, 10))


def test_restructure_every_still_restructures_when_it_settles():
    schedule = GrowthSchedule(restructure_every=4)
    assert restructured(schedule, 20) == [4, 8, 9]


def test_pruning_only_starts_at_the_full_network():
    schedule = GrowthSchedule(1.0, 1.0, peak_at=0.0, settle_at=0.5)
    assert targets(schedule, 4, 0.5) == [1.0, 0.75, 0.5, 0.5]


def test_growing_to_the_budget_only_jumps_there_from_the_peak():
    schedule = GrowthSchedule(peak_at=0.5, settle_at=0.5)
    assert targets(schedule, 4, 0.4) == pytest.approx(
        [0.25, 0.525, 0.4, 0.4], abs=1e-12
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.floats(0.01, 1),
    st.floats(0.01, 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(1, 200),
    st.floats(0.01, 1),
)
def test_any_schedule_settles_on_its_budget_within_the_run(
    first, second, early, late, epochs, budget
):
    seed, peak = sorted([first, second])
    peak_at, settle_at = sorted([early, late])
    schedule = GrowthSchedule(seed, peak, peak_at, settle_at)
    settle = schedule.settle_epoch(epochs)
    assert 0 <= settle <= epochs - 1
    found = targets(schedule, epochs, budget)
    assert found[settle:] == [budget] * (epochs - settle)
    assert min(found) >= min(seed, budget) - 1e-12
    assert max(found) <= max(peak, budget) + 1e-12
    assert restructured(schedule, epochs)[-1] == settle
    if budget >= peak:
        assert all(b >= a - 1e-12 for a, b in zip(found, found[1:]))


@pytest.mark.parametrize("name", ["seed_fraction", "peak"])
@pytest.mark.parametrize(
    "value", [0, -0.1, 1.1, float("nan"), float("inf"), True, "half", None]
)
def test_a_fraction_out_of_its_range_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` .*\(0, 1\].*{value!r}"):
        GrowthSchedule(**{name: value})


@pytest.mark.parametrize("name", ["peak_at", "settle_at"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), False, "end"])
def test_a_moment_out_of_the_run_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` .*\[0, 1\].*{value!r}"):
        GrowthSchedule(**{name: value})


def test_moments_out_of_order_are_refused():
    with pytest.raises(ValueError, match="in order.*peak_at=0.6"):
        GrowthSchedule(peak_at=0.6, settle_at=0.5)


def test_a_seed_above_the_peak_is_refused():
    with pytest.raises(ValueError, match="seed_fraction=0.9, peak=0.8"):
        GrowthSchedule(seed_fraction=0.9)


@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_restructure_every_must_be_a_positive_integer(value):
    with pytest.raises(ValueError, match="`restructure_every`"):
        GrowthSchedule(restructure_every=value)


def test_config_round_trip_keeps_every_argument():
    config = dict(
        seed_fraction=0.3,
        peak=0.7,
        peak_at=0.1,
        settle_at=0.6,
        restructure_every=3,
        seed_shape="shallow",
    )
    schedule = GrowthSchedule(**config)
    assert schedule.get_config() == config
    assert GrowthSchedule.from_config(config).get_config() == config
    assert repr(schedule) == (
        "GrowthSchedule(seed_fraction=0.3, peak=0.7, peak_at=0.1, "
        "settle_at=0.6, restructure_every=3, seed_shape='shallow')"
    )


def test_an_unknown_shape_of_the_seed_is_refused():
    with pytest.raises(ValueError, match="'narrow' or 'shallow'.*'wide'"):
        GrowthSchedule(seed_shape="wide")


@pytest.mark.parametrize("budget", [0, -0.1, 1.5, True, "half", None])
def test_a_schedule_follows_a_fraction_only(budget):
    with pytest.raises(ValueError, match=f"Received: budget={budget!r}"):
        GrowthSchedule.around(budget)

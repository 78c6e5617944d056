import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_growprune.growth import GrowthState
from keras_growprune.growth import SaliencyRule
from keras_growprune.growth import UnitSpace

NAN = float("nan")


def make_space(sizes=(4, 4), costs=(1, 2), gate_costs=(8,), multiples=None):
    costs, gate_costs = np.array(costs, float), np.array(gate_costs, float)
    return UnitSpace(
        sizes=np.array(sizes),
        multiples=np.array(multiples or [1] * len(sizes)),
        gate_kinds=np.zeros(len(gate_costs), int),
        cost=lambda widths, gates: (
            np.asarray(widths) @ costs + np.asarray(gates) @ gate_costs
        ),
    )


def make_state(units, gates, saliency, gate_saliency, gate_ages=9):
    state = GrowthState(units, gates, seed=0)
    state.saliency = np.array(saliency, float)
    state.gate_saliency = np.array(gate_saliency, float)
    state.ages = np.where(state.units, 5, 0)
    state.gate_ages = np.where(state.gates, gate_ages, 0)
    return state


def random_case(seed, multiples=True):
    """A network whose layers hold some of its groups."""
    random = np.random.default_rng(seed)
    groups, layers = random.integers(1, 5), random.integers(1, 4)
    price = random.integers(1, 9, (groups, groups))
    gate_price = random.integers(1, 50, layers)
    inside = random.integers(-1, layers, groups)

    def cost(widths, gates):
        widths, gates = np.asarray(widths, float), np.asarray(gates, bool)
        here = np.where(inside < 0, True, gates[..., inside])
        present = widths * here
        pairs = np.einsum("...i,ij,...j", present, price, present)
        return 5.0 + pairs + gates @ gate_price

    space = UnitSpace(
        sizes=random.integers(1, 9, groups),
        multiples=random.integers(1, 4 if multiples else 2, groups),
        gate_kinds=random.integers(0, 2, layers),
        cost=cost,
    )
    state = GrowthState(np.ones(space.unit_count), np.ones(layers), seed)
    state.saliency = random.normal(1, 1, space.unit_count)
    state.gate_saliency = random.normal(1, 1, layers)
    state.gate_ages[:] = 9
    state.ages[:] = 9
    off = space.cost(space.smallest_widths(), np.zeros(layers, bool))
    full = space.cost(space.sizes, np.ones(layers, bool))
    return random, space, state, float(off), float(full)


def assert_landed(space, units, gates, limit):
    widths = space.widths(units)
    cost = float(space.cost(widths, gates))
    assert cost <= limit * (1 + 1e-9)
    for group, width in enumerate(widths):
        multiple, size = space.multiples[group], space.sizes[group]
        assert width > 0 and (width == size or width % multiple == 0)
        wider = widths.copy()
        wider[group] = space.wider(group, width)
        more = float(space.cost(wider, gates))
        assert more == cost or more > limit


def test_above_the_target_the_least_worth_per_cost_goes():
    # Per cost 5, 1, 6, 7 | 4, 1.5, 4.5, 4.5, and 5 for the layer.
    state = make_state([1] * 8, [1], [5, 1, 6, 7] + [8, 3, 9, 9], [40])
    units, gates = SaliencyRule().decide(state, make_space(), 17)
    assert units.tolist() == [True, False, True, True] * 2
    assert gates.tolist() == [True]
    assert state.price == 1.5


def test_room_that_selling_left_goes_back_to_what_was_sold():
    # The second sale (cost 2) leaves room for the first unit sold (cost 1).
    state = make_state([1] * 8, [1], [5, 1, 6, 7] + [8, 3, 9, 9], [40])
    units, _ = SaliencyRule().decide(state, make_space(), 18)
    assert units.tolist() == [True] * 5 + [False, True, True]


def test_below_the_target_units_come_where_they_promise_most():
    saliency = [4, NAN, NAN, NAN] + [2, NAN, NAN, NAN]
    state = make_state([1, 0, 0, 0] * 2, [1], saliency, [40])
    units, _ = SaliencyRule().decide(state, make_space(), 12)
    assert units.tolist() == [True, True, False, False] + [True] + [False] * 3


def test_while_the_network_shrinks_room_goes_back_to_what_was_sold():
    # The layer goes (8 of 20); the first group's dormant unit fits in the
    # room, but it was not sold just now.
    state = make_state([1, 1, 1, 0] + [1] * 4, [1], [5] * 4 + [9] * 4, [0.1])
    units, gates = SaliencyRule().decide(state, make_space(), 15)
    assert gates.tolist() == [False]
    assert units.tolist() == [True] * 3 + [False] + [True] * 4


def test_a_new_layer_may_not_be_sold_within_its_grace():
    arguments = ([1] * 8, [1], [5] * 8, [0.0])
    young = make_state(*arguments, gate_ages=3)
    old = make_state(*arguments, gate_ages=4)
    assert SaliencyRule().decide(young, make_space(), 15)[1].tolist() == [True]
    assert SaliencyRule().decide(old, make_space(), 15)[1].tolist() == [False]
    rule = SaliencyRule(gate_grace=0)
    assert rule.decide(young, make_space(), 15)[1].tolist() == [False]


def test_an_unmeasured_newcomer_is_not_sold():
    state = make_state([1] * 8, [1], [NAN, 1, 5, 6] + [99] * 4, [999])
    units, _ = SaliencyRule().decide(state, make_space(), 17)
    assert units.tolist() == [True, False, False, False] + [True] * 4


def test_logits_are_log_worth_per_cost_relative_to_the_price():
    state = make_state([1] * 8, [1], [8, 1, 4, 2] + [4, 16, 8, NAN], [99])
    SaliencyRule().decide(state, make_space(), 19)
    assert state.price == 1.0
    expected = np.log([8, 1, 4, 2] + [2, 8, 4])
    np.testing.assert_allclose(state.logits[:7], expected, rtol=1e-12)
    assert state.logits[7] == 0.0


def test_logits_of_worthless_units_are_bounded():
    state = make_state([1] * 8, [1], [-3, 1, 4, 0] + [4] * 4, [99])
    SaliencyRule().land(state, make_space(), 17)
    assert np.isfinite(state.logits).all()
    assert state.price > 0
    assert state.logits[[0, 3]].tolist() == [-20.0, -20.0]


def test_a_dead_unit_goes_before_one_of_negative_worth():
    state = make_state([1] * 8, [1], [-3, 1, 4, 5] + [4, 4, 4, 0], [99])
    state.price = 2.0
    units, _ = SaliencyRule().decide(state, make_space(), 18)
    assert units.tolist() == [True] * 7 + [False]
    assert state.price == 2.0  # what is worth nothing tells no price
    assert np.isfinite(state.logits).all()
    units, _ = SaliencyRule().decide(state, make_space(), 17)
    assert units.tolist() == [False] + [True] * 6 + [False]


def test_landing_brings_a_layer_back_that_was_sold_before():
    # The layer costs 8: as much as four units of the second group, which are
    # worth less than its 9.
    state = make_state([1] * 8, [0], [5, 5, 5, 5] + [2, 2, 2, 8], [9])
    units, gates = SaliencyRule().land(state, make_space(), 14)
    assert gates.tolist() == [True]
    assert units.tolist() == [True] * 4 + [False] * 3 + [True]


def test_deciding_leaves_the_present_network_untouched():
    state = make_state([1] * 8, [1], [1, 2, 3, 4] * 2, [0.1])
    SaliencyRule().decide(state, make_space(), 8)
    SaliencyRule().land(state, make_space(), 8)
    assert state.units.all() and state.gates.all()
    assert state.saliency.tolist() == [1, 2, 3, 4] * 2


def test_a_useless_unit_goes_and_a_vital_one_stays():
    saliency = [1e-9, 1, 1, 1] + [1e3, 2, 2, 2]
    state = make_state([1] * 8, [1], saliency, [50])
    units, _ = SaliencyRule().land(state, make_space(), 14)
    assert not units[0]
    assert units[4]


def test_config_round_trip_keeps_the_grace():
    rule = SaliencyRule(gate_grace=7)
    assert rule.get_config() == {"gate_grace": 7}
    assert SaliencyRule(**rule.get_config()).gate_grace == 7


@pytest.mark.parametrize(
    "measure, budget, seed, peak, settle",
    [
        ("flops", 0.5, 0.25, 0.8, 0.45),
        ("params", 0.2, 0.1, 0.32, 0.45),
        ("flops", 0.9, 0.25, 0.8, 0.45),
        ("latency", 0.9, 0.5, 0.7, 0.3),
        ("latency", 0.5, 0.5, 0.7, 0.3),
        ("latency", 0.1, 0.1, 0.14, 0.3),
    ],
)
def test_the_default_schedule_follows_the_budget(
    measure, budget, seed, peak, settle
):
    schedule = SaliencyRule().default_schedule(measure, budget)
    assert schedule.seed_fraction == pytest.approx(seed)
    assert schedule.peak == pytest.approx(peak)
    assert schedule.settle_at == settle
    assert schedule.peak_at == (0.1 if measure == "latency" else 0.2)
    shape = "shallow" if measure == "latency" else "narrow"
    assert schedule.seed_shape == shape


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.floats(0, 1))
def test_landing_is_exact_when_all_is_measured(seed, way):
    _, space, state, low, full = random_case(seed)
    limit = low + way * (full - low)
    units, gates = SaliencyRule().land(state, space, limit)
    assert_landed(space, units, gates, limit)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.floats(0, 1))
def test_landing_is_exact_within_the_grace_of_layers(seed, way):
    random, space, state, low, full = random_case(seed)
    state.gate_ages = random.integers(0, 4, len(state.gates))
    limit = low + way * (full - low)
    units, gates = SaliencyRule().land(state, space, limit)
    assert_landed(space, units, gates, limit)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.floats(0, 1))
def test_landing_is_exact_when_nothing_was_measured(seed, way):
    _, space, state, low, full = random_case(seed)
    state.saliency[:] = NAN
    state.gate_saliency[:] = NAN
    state.gate_ages[:] = 0
    state.ages[:] = 0
    limit = low + way * (full - low)
    units, gates = SaliencyRule().land(state, space, limit)
    assert_landed(space, units, gates, limit)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.floats(0, 1))
def test_landing_is_exact_when_some_units_were_not_measured(seed, way):
    random, space, state, low, full = random_case(seed)
    state.saliency[random.random(space.unit_count) < 0.5] = NAN
    limit = low + way * (full - low)
    units, gates = SaliencyRule().land(state, space, limit)
    assert_landed(space, units, gates, limit)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.floats(0.05, 1))
def test_deciding_keeps_to_the_target_and_to_multiples(seed, way):
    _, space, state, low, full = random_case(seed)
    target = low + way * (full - low)
    units, gates = SaliencyRule().decide(state, space, target)
    widths = space.widths(units)
    assert space.cost(widths, gates) <= target * (1 + 1e-9)
    for width, size, multiple in zip(widths, space.sizes, space.multiples):
        assert width > 0 and (width == size or width % multiple == 0)


def test_the_rule_has_its_name():
    assert SaliencyRule.name == "saliency"
    assert SaliencyRule.trains_logits is False
    with pytest.raises(TypeError):
        SaliencyRule("fast", "slow")

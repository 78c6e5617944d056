import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_growprune import Budget
from keras_growprune import GrowPruneModel
from keras_growprune.growth import GrowthSchedule
from keras_growprune.growth import GrowthState
from keras_growprune.growth import PaperRule
from keras_growprune.growth import UnitSpace
from keras_growprune.layers import GatedAdd
from keras_growprune.layers import GrowableDense


def make_space(sizes=(4, 4), multiples=(1, 1), gates=1):
    return UnitSpace(
        sizes=np.array(sizes),
        multiples=np.array(multiples),
        gate_kinds=np.zeros(gates, int),
        cost=lambda widths, gates: (
            np.sum(widths, axis=-1) + 5.0 * np.sum(gates, axis=-1)
        ),
    )


def make_state(units, gates, logits, gate_logits, epochs=10):
    state = GrowthState(units, gates, seed=0)
    state.logits = np.array(logits, float)
    state.gate_logits = np.array(gate_logits, float)
    state.periods = epochs
    return state


def test_lambda_is_positive_above_the_budget_and_negative_below():
    rule = PaperRule(lambda_base=2.0)
    assert rule.penalty(0.75, 0.5) == 0.5
    assert rule.penalty(0.25, 0.5) == -0.5
    assert rule.penalty(0.5, 0.5) == 0.0


def test_temperature_hardens_with_age():
    rule = PaperRule(final_temperature=16.0)
    found = rule.temperatures(np.array([0, 5, 10]), 10)
    np.testing.assert_allclose(found, [1.0, 4.0, 16.0], rtol=1e-12)


def test_what_the_seed_network_has_is_likely_to_stay():
    units = [1, 0, 0, 0] + [1, 1, 1, 1]
    state = make_state(np.array(units, bool), np.array([True]), [0] * 8, [0])
    PaperRule().start(state, make_space(), 3.0)
    chances = 1 / (1 + np.exp(-state.logits))
    expected = np.where(units, 0.924142, 0.075858)
    np.testing.assert_allclose(chances, expected, rtol=1e-5)
    assert state.gate_logits.tolist() == [2.5]


def test_certain_logits_decide_without_chance():
    logits = [50, -50, 50, -50] + [-50, -50, -50, 50]
    state = make_state([0] * 8, [1], logits, [-50])
    units, gates = PaperRule().decide(state, make_space(), 99)
    assert units.tolist() == [x > 0 for x in logits]
    assert gates.tolist() == [False]


def test_units_are_in_the_network_as_often_as_their_presence_says():
    logits = np.log([3.0, 1.0, 1 / 3, 9.0])
    state = make_state([1] * 4, [1], logits, [np.log(4)])
    space = make_space(sizes=(4,), multiples=(1,))
    rule = PaperRule()
    drawn = [rule.decide(state, space, 99) for _ in range(3000)]
    units = np.mean([units for units, _ in drawn], axis=0)
    gates = np.mean([gates for _, gates in drawn], axis=0)
    # At least one stays: if none of four was drawn, the likeliest one comes.
    nobody = 0.25 * 0.5 * 0.75 * 0.1
    np.testing.assert_allclose(
        units, [0.75, 0.5, 0.25, 0.9 + nobody], atol=0.037
    )
    np.testing.assert_allclose(gates, [0.8], atol=0.03)


def test_old_units_are_drawn_with_more_certainty():
    state = make_state([1] * 8, [1], [1.0] * 8, [0])
    state.ages = np.array([0, 0, 0, 0, 10, 10, 10, 10])
    rule = PaperRule()
    drawn = [rule.decide(state, make_space(), 99)[0] for _ in range(400)]
    often = np.mean(drawn, axis=0)
    assert often[4:].min() == 1.0
    np.testing.assert_allclose(often[:4], 1 / (1 + np.exp(-1)), atol=0.1)


def test_an_empty_group_keeps_its_likeliest_units():
    logits = [-60, -50, -70, -80] + [-50] * 4
    state = make_state([1] * 8, [1], logits, [9])
    space = make_space(multiples=(2, 1))
    units, _ = PaperRule().decide(state, space, 99)
    assert units.tolist() == [True, True, False, False] + [True] + [False] * 3


def test_a_width_between_multiples_loses_its_least_likely_units():
    logits = [40, 60, 50, -50] + [50] * 4
    state = make_state([1] * 8, [1], logits, [9])
    space = make_space(multiples=(2, 3))
    units, _ = PaperRule().decide(state, space, 99)
    assert units.tolist() == [False, True, True, False] + [True] * 4


def test_the_same_seed_draws_the_same_structures():
    rule, space = PaperRule(), make_space()
    first, second = (
        make_state([1] * 8, [1], [0.1] * 8, [0.0]) for _ in range(2)
    )
    for _ in range(5):
        a, b = rule.decide(first, space, 9), rule.decide(second, space, 9)
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_landing_keeps_the_most_present_units():
    state = make_state([1] * 8, [0], [1, 2, 3, 4, 5, 6, 7, 8], [-9])
    units, gates = PaperRule().land(state, make_space(), 4.0)
    assert gates.tolist() == [False]
    assert units.tolist() == [False] * 3 + [True] + [False] + [True] * 3


def test_landing_gives_up_units_before_a_layer_that_is_likely():
    space = make_space()  # a layer costs as much as five units
    state = make_state([1] * 8, [1], [1, 2, 3, 4, 5, 6, 7, 8], [3])
    units, gates = PaperRule().land(state, space, 12.0)
    assert gates.tolist() == [True]
    assert units.tolist() == [False] + [True] * 7
    state.gate_logits[:] = -3  # an unlikely one is the first to go
    _, gates = PaperRule().land(state, space, 12.0)
    assert gates.tolist() == [False]


def test_landing_fills_up_a_network_below_its_budget():
    state = make_state([1, 0, 0, 0] * 2, [0], [-3, -4, -5, -6] * 2, [-9])
    units, _ = PaperRule().land(state, make_space(), 6.0)
    assert np.count_nonzero(units) == 6


def test_deciding_leaves_the_present_network_untouched():
    state = make_state([1] * 8, [1], [-9.0] * 8, [-9])
    PaperRule().decide(state, make_space(), 2)
    PaperRule().land(state, make_space(), 8)
    assert state.units.all() and state.gates.all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.floats(0, 1))
def test_landing_is_exact_for_any_logits(seed, way):
    random = np.random.default_rng(seed)
    space = make_space(
        sizes=random.integers(1, 9, 2),
        multiples=random.integers(1, 4, 2),
        gates=2,
    )
    count = space.unit_count
    state = make_state(
        random.random(count) < 0.5,
        random.random(2) < 0.5,
        random.normal(size=count),
        random.normal(size=2),
    )
    low = float(space.cost(space.smallest_widths(), np.zeros(2, bool)))
    full = float(space.cost(space.sizes, np.ones(2, bool)))
    limit = low + way * (full - low)
    units, gates = PaperRule().land(state, space, limit)
    widths = space.widths(units)
    cost = space.cost(widths, gates)
    assert cost <= limit * (1 + 1e-9)
    for group, width in enumerate(widths):
        size, multiple = space.sizes[group], space.multiples[group]
        assert width > 0 and (width == size or width % multiple == 0)
        wider = widths.copy()
        wider[group] = space.wider(group, width)
        more = space.cost(wider, gates)
        assert more == cost or more > limit


def test_gated_layers_have_a_lambda_of_their_own():
    # A loss that is always zero leaves the penalty alone to move the logits.
    inputs = keras.Input((3,))
    x = GrowableDense(6, seed_units=6)(inputs)
    x = GatedAdd()([x, GrowableDense(6)(x)])
    model = GrowPruneModel(
        inputs,
        keras.layers.Dense(1)(x),
        Budget(params=0.3),
        rule=PaperRule(lambda_base=1.0, gate_lambda_base=0.0),
        schedule=GrowthSchedule(1.0, 1.0, settle_at=1.0),
        seed=0,
    )
    model.compile(
        keras.optimizers.SGD(1.0),
        lambda y_true, y_pred: 0.0 * keras.ops.sum(y_pred),
    )
    logits = (model._unit_gate.logits, model._layer_gate.logits)
    before = [np.array(variable) for variable in logits]
    data = np.ones((4, 3)), np.ones((4, 1))
    model.fit(*data, epochs=1, growth_epochs=4, verbose=0)
    units, gates = (np.array(v) - old for v, old in zip(logits, before))
    assert units.max() < 0  # above the budget: pruned
    assert gates.tolist() == [0.0]


def test_config_round_trip_keeps_every_argument():
    config = dict(lambda_base=2.0, gate_lambda_base=3.0, final_temperature=50.0)
    assert PaperRule(**config).get_config() == config


def test_sampling_goes_on_for_most_of_the_run():
    assert PaperRule().default_schedule("flops", 0.5).settle_at == 0.8
    assert PaperRule.trains_logits is True
    with pytest.raises(TypeError):
        PaperRule(speed=1)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_growprune.growth import Market
from keras_growprune.growth import UnitSpace

NAN = float("nan")


def linear_space(sizes, costs, gate_costs=(), multiples=None, kinds=None):
    """Each unit and each gated layer at a price of its own."""
    costs, gate_costs = np.array(costs, float), np.array(gate_costs, float)
    return UnitSpace(
        sizes=np.array(sizes),
        multiples=np.array(multiples or [1] * len(sizes)),
        gate_kinds=np.array(kinds or [0] * len(gate_costs), int),
        cost=lambda widths, gates: (
            np.asarray(widths) @ costs + np.asarray(gates) @ gate_costs
        ),
    )


def random_space(random):
    """Random sizes, multiples, gates, and a bilinear cost with gates."""
    groups, layers = random.integers(1, 5), random.integers(0, 4)
    terms = random.integers(groups, 2 * groups + layers + 1)
    first, second = random.integers(0, groups, (2, terms))
    first[:groups] = np.arange(groups)
    gate = random.integers(-1, layers, terms) if layers else np.full(terms, -1)
    price = random.integers(1, 9, terms)
    is_pair = random.random(terms) < 0.7

    def cost(widths, gates):
        widths, gates = np.asarray(widths, float), np.asarray(gates, bool)
        partner = np.where(is_pair, widths[..., second], 1.0)
        present = np.where(gate < 0, True, gates[..., gate] if layers else True)
        return 7.0 + np.sum(price * widths[..., first] * partner * present, -1)

    return UnitSpace(
        sizes=random.integers(1, 12, groups),
        multiples=random.integers(1, 5, groups),
        gate_kinds=random.integers(0, 2, layers),
        cost=cost,
    )


def random_units(space, random):
    """A boolean unit vector of admissible widths."""
    units = np.zeros(space.unit_count, bool)
    for group, part in enumerate(space.slices()):
        width = space.smallest_widths()[group]
        for _ in range(random.integers(0, 6)):
            width = space.wider(group, width)
        chosen = random.permutation(space.sizes[group])[:width]
        units[part.start + chosen] = True
    return units


def assert_admissible(space, units):
    for width, size, multiple in zip(
        space.widths(units), space.sizes, space.multiples
    ):
        assert width > 0
        assert width == size or width % multiple == 0


def assert_landed(space, units, gates, limit):
    """At most the limit, and no step of any group would fit."""
    assert_admissible(space, units)
    widths = space.widths(units)
    cost = float(space.cost(widths, gates))
    assert cost <= limit * (1 + 1e-9)
    for group, width in enumerate(widths):
        wider = widths.copy()
        wider[group] = space.wider(group, width)
        more = float(space.cost(wider, gates))
        assert more == cost or more > limit


def test_sells_the_unit_with_the_smallest_saliency_per_cost():
    # Per cost: 3, 5 | 2, 5. The largest worth of all is not what counts.
    space = linear_space([2, 2], [1, 4])
    market = Market(space, np.ones(4), [], [3, 5, 8, 20], [])
    market.sell_down_to(6)
    assert market.units.tolist() == [True, True, False, True]
    assert (market.cost, market.price) == (6.0, 2.0)
    market.sell_down_to(5)
    assert market.units.tolist() == [False, True, False, True]
    assert (market.cost, market.price) == (5.0, 3.0)


def test_a_unit_is_priced_at_the_present_widths():
    # cost = w0 * w1: a unit of the first group costs 4, of the second 2.
    space = UnitSpace(
        np.array([2, 4]),
        np.array([1, 1]),
        np.zeros(0, int),
        lambda widths, gates: np.prod(np.asarray(widths, float), axis=-1),
    )
    market = Market(space, np.ones(6), [], [7, 8, 4, 5, 6, 7], [])
    market.sell_down_to(7.9)
    assert market.widths.tolist() == [1, 4]
    assert (market.cost, market.price) == (4.0, 7 / 4)


def test_nothing_is_sold_below_the_smallest_width():
    space = linear_space([3, 8], [1, 1], multiples=[1, 4])
    market = Market(space, np.ones(11), [], np.ones(11), [])
    market.sell_down_to(0)
    assert market.widths.tolist() == [1, 4]
    assert market.cost == 5.0


def test_steps_of_several_units_are_worth_their_sum():
    # Two of the first group for 1 + 2, or one of the second for 2.
    space = linear_space([4, 2], [1, 1], multiples=[2, 1])
    market = Market(space, np.ones(6), [], [9, 1, 9, 2, 2, 9], [])
    market.sell_down_to(5)
    assert market.units.tolist() == [True, False, True, False, True, True]
    assert market.price == 1.5


def test_a_layer_is_sold_at_the_same_price_as_units():
    space = linear_space([2], [1], gate_costs=[10, 10])
    market = Market(space, [1, 1], [1, 1], [1, 3], [5, 30])
    market.sell_down_to(21)
    assert market.gates.tolist() == [False, True]
    assert market.units.tolist() == [True, True]
    assert market.price == 0.5
    market.sell_down_to(11.5)
    assert market.units.tolist() == [False, True]
    assert market.gates.tolist() == [False, True]


def test_what_is_kept_is_not_sold():
    space = linear_space([3], [1], gate_costs=[1])
    kept = np.array([True, False, False])
    market = Market(
        space,
        np.ones(3),
        [1],
        [1, 2, 3],
        [0.5],
        kept_units=kept,
        kept_gates=np.array([True]),
    )
    market.sell_down_to(3)
    assert market.units.tolist() == [True, False, True]
    assert market.gates.tolist() == [True]


def test_an_unmeasured_unit_counts_as_the_mean_of_its_group():
    space = linear_space([3, 1], [1, 1])
    market = Market(space, np.ones(4), [], [1, NAN, 5, 9], [])
    market.sell_down_to(3)
    assert market.price == 1.0
    market.sell_down_to(2)
    assert market.units.tolist() == [False, False, True, True]
    assert market.price == 3.0


def test_what_has_no_effect_goes_before_what_seems_to_harm():
    space = linear_space([2, 3], [1, 1])
    market = Market(space, np.ones(5), [], [-5, 1, -1, 0, 3], [])
    market.sell_down_to(4)
    assert market.units.tolist() == [True, True, True, False, True]
    assert (market.price, market.total) == (0.0, 0.0)
    market.sell_down_to(3)
    assert market.units.tolist() == [False, True, True, False, True]
    assert (market.price, market.total) == (-5.0, 5.0)


def test_a_layer_without_effect_goes_before_one_that_seems_to_harm():
    space = linear_space([1], [1], gate_costs=[2, 2])
    market = Market(space, [1], [1, 1], [1], [-3, 0])
    market.sell_down_to(3)
    assert market.gates.tolist() == [True, False]


def test_a_step_with_some_effect_counts_as_its_sum():
    # 0 + 2 against -1 + 0.5; two units without any effect come before both.
    space = linear_space([4, 4, 4], [1, 1, 1], multiples=[2, 2, 2])
    worth = [0, 2, 9, 9, -1, 0.5, 9, 9, 9, 0, 9, 0]
    market = Market(space, np.ones(12), [], worth, [])
    order = []
    for target in (10, 8, 6):
        before = market.units.copy()
        market.sell_down_to(target)
        order.append(np.flatnonzero(before & ~market.units).tolist())
    assert order == [[9, 11], [4, 5], [0, 1]]


def test_what_was_not_measured_is_not_without_effect():
    # Its group's mean is zero, too, but that is a guess.
    space = linear_space([3, 2], [1, 1])
    market = Market(space, np.ones(5), [], [0, NAN, NAN, -1, 5], [])
    market.sell_down_to(4)
    assert market.units.tolist() == [False, True, True, True, True]
    market.sell_down_to(3)
    assert market.units.tolist() == [False, True, True, False, True]


def test_what_has_no_effect_comes_back_last():
    # Sold just now are -1 and 0. A newcomer promises (3 - 1) / 3 in the first
    # group, -4 / 2 and then -4 / 3 in the second.
    space = linear_space([4, 3], [1, 1])
    worth = [-1, 0, 3, NAN, -4, NAN, NAN]
    market = Market(space, [1, 1, 1, 0, 1, 0, 0], [], worth, [])
    market.sell_down_to(2)
    order = []
    for target in range(3, 8):
        before = market.units.copy()
        market.buy_up_to(target)
        order += np.flatnonzero(market.units & ~before).tolist()
    assert order == [0, 3, 5, 6, 1]


def test_what_had_no_effect_long_ago_promises_nothing():
    # Not the share of its group, 8 / 2, but less than 0.2 / 2.
    space = linear_space([2, 2], [1, 1])
    market = Market(space, [1, 0, 1, 0], [], [8, 0, 0.2, NAN], [])
    market.buy_up_to(3)
    assert market.units.tolist() == [True, False, True, True]
    market.buy_up_to(4)
    assert market.units.all()


def test_what_had_no_effect_adds_nothing_to_a_promise():
    # Two units come at once: 12 / 4 + 0 against 7 / 2.
    space = linear_space([4, 2], [1, 2], multiples=[2, 1])
    worth = [6, 6, NAN, 0, 7, NAN]
    market = Market(space, [1, 1, 0, 0, 1, 0], [], worth, [])
    market.buy_up_to(6)
    assert market.widths.tolist() == [2, 2]
    assert market.price == 1.75


def test_nothing_is_sold_that_makes_the_network_dearer():
    # An odd width costs more than the even one above it.
    space = UnitSpace(
        np.array([4]),
        np.array([1]),
        np.zeros(0, int),
        lambda widths, gates: np.sum(widths + 5 * (widths % 2), axis=-1),
    )
    market = Market(space, np.ones(4), [], np.ones(4), [])
    market.sell_down_to(3)
    assert market.widths.tolist() == [4]


def test_a_copy_goes_on_by_itself():
    space = linear_space([3, 2], [1, 1], gate_costs=[2])
    market = Market(space, np.ones(5), [1], [1, 2, 3, 4, 5], [9])
    market.sell_down_to(5)
    other = market.copy()
    other.sell_down_to(3)
    other.buy_up_to(9)
    assert (market.cost, market.total) == (5.0, -3.0)
    assert market.widths.tolist() == [1, 2]
    market.buy_up_to(9)
    assert market.units.all() and market.gates.all()
    assert market.total == other.total == 0.0


def test_what_has_no_effect_does_not_return_while_others_might():
    space = linear_space([2], [1], gate_costs=[2])
    market = Market(space, [1, 1], [1], [4, 0], [0])
    market.sell_down_to(1)
    market.buy_up_to(9, newcomers=False)
    assert market.cost == 1.0
    market.buy_up_to(9)
    assert market.cost == 4.0


def test_a_promise_is_the_mean_worth_times_width_before_by_after():
    # 6 * 1 / 2 = 3 for cost 1, against (4 + 5) / 2 * 2 / 3 = 3 for cost 2.
    space = linear_space([3, 3], [1, 2])
    worth = [6, NAN, NAN, 4, 5, NAN]
    market = Market(space, [1, 0, 0, 1, 1, 0], [], worth, [])
    market.buy_up_to(6)
    assert market.units.tolist() == [True, True, False, True, True, False]
    assert (market.cost, market.price) == (6.0, 3.0)


def test_buys_nothing_that_does_not_fit():
    space = linear_space([4], [2])
    market = Market(space, [1, 0, 0, 0], [], [1, NAN, NAN, NAN], [])
    market.buy_up_to(7.99)
    assert market.cost == 6.0


def test_each_further_newcomer_of_a_group_promises_less():
    # 6 * 1 / 2 = 3, then 6 * 1 / 3 = 2, less than the other group's 2.5.
    space = linear_space([4, 4], [1, 1])
    worth = [6, NAN, NAN, NAN, 5, NAN, NAN, NAN]
    market = Market(space, [1, 0, 0, 0] * 2, [], worth, [])
    market.buy_up_to(4)
    assert market.widths.tolist() == [2, 2]
    assert market.price == 2.5


def test_buys_back_what_was_sold_just_now_for_its_own_worth():
    # Per cost 1, 2, 9 | 4 / 3, 10: sold are 0, 3, 1, and then nothing may go.
    space = linear_space([3, 2], [1, 3])
    market = Market(space, np.ones(5), [], [1, 2, 9, 4, 30], [])
    market.sell_down_to(3)
    assert market.units.tolist() == [False, False, True, False, True]
    market.buy_up_to(5, newcomers=False)
    assert market.units.tolist() == [False, True, True, False, True]
    assert (market.cost, market.price) == (5.0, 2.0)
    market.buy_up_to(6, newcomers=False)
    assert market.units.tolist() == [True, True, True, False, True]
    assert (market.cost, market.price) == (6.0, 1.0)


def test_without_newcomers_only_what_was_sold_comes_back():
    space = linear_space([4], [1], gate_costs=[1])
    market = Market(space, [1, 1, 1, 0], [0], [3, 1, 2, NAN], [9])
    market.sell_down_to(2)
    market.buy_up_to(100, newcomers=False)
    assert market.units.tolist() == [True, True, True, False]
    assert market.gates.tolist() == [False]


def test_units_that_never_lived_come_before_dormant_ones():
    space = linear_space([5], [1])
    lived = np.array([True, True, True, False, False])
    market = Market(
        space, [1, 0, 0, 0, 0], [], [9, 1, 5, NAN, NAN], [], lived=lived
    )
    order = []
    for target in range(2, 6):
        before = market.units.copy()
        market.buy_up_to(target)
        order.extend(np.flatnonzero(market.units & ~before).tolist())
    assert order == [3, 4, 2, 1]


@pytest.mark.parametrize(
    "gate_worth,price",
    [
        ([4, 8, 2, 1], 0.5),  # its own worth
        ([4, 8, 2, NAN], 1.0),  # the mean of its kind
        ([4, 8, NAN, NAN], 3.0),  # nothing of its kind is known: all layers
    ],
)
def test_a_layer_promises_its_own_worth_or_that_of_those_like_it(
    gate_worth, price
):
    space = linear_space([1], [1], gate_costs=[2] * 4, kinds=[0, 0, 1, 1])
    there = [1, 1, not np.isnan(gate_worth[2]), 0]
    market = Market(space, [1], there, [1], gate_worth)
    market.buy_up_to(100)
    assert market.gates.all()
    assert market.price == price


def test_the_first_layer_promises_as_much_per_cost_as_the_units():
    # Units: worth 1 + 3 + 5 at a cost of 9. A layer of cost 2 promises 2, so
    # it comes before a second unit of the first group (1 / 2 at a cost of 1).
    space = linear_space([2, 2], [1, 4], gate_costs=[2] * 2)
    market = Market(space, [1, 0, 1, 1], [0, 0], [1, NAN, 3, 5], [NAN, NAN])
    market.buy_up_to(11)
    assert market.units.tolist() == [True, False, True, True]
    assert market.gates.tolist() == [True, False]
    assert market.price == 1.0


def test_no_further_layer_is_bought_while_none_was_ever_measured():
    space = linear_space([1], [1], gate_costs=[2] * 2)
    market = Market(space, [1], [1, 0], [1], [NAN, NAN])
    market.buy_up_to(100)
    assert market.gates.tolist() == [True, False]


def test_landing_exchanges_units_for_more_worth():
    # Greedily 2, 1 of the second goes at 1.9 a cost; then one of the first
    # (worth 4, cost 2) makes room for it (worth 5.7, cost 3).
    space = linear_space([2, 2], [2, 3])
    market = Market(space, np.ones(4), [], [4, 4.1, 5.7, 9], [])
    market.land_on(8)
    assert market.units.tolist() == [False, True, True, True]
    assert market.cost == 8.0
    assert market.price == pytest.approx(1.9)


def test_landing_does_not_exchange_for_less_worth():
    space = linear_space([2, 2], [2, 3])
    market = Market(space, np.ones(4), [], [6, 7, 5.7, 9], [])
    market.land_on(8)
    assert market.units.tolist() == [True, True, False, True]


def test_landing_spends_leftover_room_on_units_only():
    space = linear_space([3], [1], gate_costs=[2])
    market = Market(space, [1, 0, 0], [0], [1, NAN, NAN], [NAN])
    market.land_on(3)
    assert market.units.tolist() == [True, True, True]
    assert market.gates.tolist() == [False]


def test_the_network_that_was_given_stays_untouched():
    space = linear_space([2], [1], gate_costs=[1])
    units, gates = np.ones(2, bool), np.ones(1, bool)
    worth = np.array([1.0, 2.0])
    market = Market(space, units, gates, worth, [0.1])
    market.land_on(1)
    assert units.all() and gates.all()
    assert worth.tolist() == [1.0, 2.0]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.floats(0, 1))
def test_landing_is_exact_for_any_network(seed, way):
    random = np.random.default_rng(seed)
    space = random_space(random)
    layers = len(space.gate_kinds)
    off, on = np.zeros(layers, bool), np.ones(layers, bool)
    low = float(space.cost(space.smallest_widths(), off))
    limit = low + way * (float(space.cost(space.sizes, on)) - low)
    market = Market(
        space,
        random_units(space, random),
        random.random(layers) < 0.5,
        random.normal(1, 1, space.unit_count),
        random.normal(1, 1, layers),
    )
    market.land_on(limit)
    assert_landed(space, market.units, market.gates, limit)
    assert market.cost == space.cost(market.widths, market.gates)
    assert market.widths.tolist() == space.widths(market.units).tolist()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.floats(0.05, 0.95))
def test_exchanges_raise_the_total_worth(seed, way):
    random = np.random.default_rng(seed)
    costs = random.integers(1, 9, 3)
    space = linear_space(random.integers(2, 9, 3), costs)
    worth = random.random(space.unit_count) + 0.1
    limit = costs.sum() + way * (costs @ space.sizes - costs.sum())

    def market():
        return Market(space, np.ones(space.unit_count), [], worth, [])

    greedy, landed = market(), market()
    greedy.sell_down_to(limit)
    greedy.buy_up_to(limit, newcomers=False)
    landed.land_on(limit)
    total = worth @ landed.units
    assert total >= worth @ greedy.units - 1e-9
    # What is left cannot be improved by any single exchange.
    for bought in np.flatnonzero(~landed.units):
        for sold in np.flatnonzero(landed.units):
            change = costs[space.unit_groups()[[bought, sold]]]
            cost = landed.cost + change[0] - change[1]
            one_left = landed.widths[space.unit_groups()[sold]] == 1
            same = space.unit_groups()[bought] == space.unit_groups()[sold]
            if cost <= limit and cost >= landed.cost and not (one_left or same):
                assert worth[bought] <= worth[sold] + 1e-9


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.floats(0, 1))
def test_buying_and_selling_keep_widths_admissible(seed, way):
    random = np.random.default_rng(seed)
    space = random_space(random)
    layers = len(space.gate_kinds)
    full = float(space.cost(space.sizes, np.ones(layers, bool)))
    market = Market(
        space,
        random_units(space, random),
        random.random(layers) < 0.5,
        random.random(space.unit_count),
        random.random(layers),
    )
    before = market.cost
    market.sell_down_to(way * full)
    assert_admissible(space, market.units)
    assert market.cost <= before
    market.buy_up_to(max(way * full, market.cost))
    assert_admissible(space, market.units)
    assert market.cost <= max(way * full, market.cost) * (1 + 1e-9)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_growprune.growth import Market
from keras_growprune.growth import UnitSpace

NAN = float("nan")


def gated_space(sizes, costs, inside, gate_costs, multiples=None, within=None):
    """Units and layers at prices of their own.

    Args:
        inside: For each group the layer that it belongs to, or -1.
        within: For each layer the one that it is a part of, or -1.
    """
    sizes, costs = np.array(sizes), np.array(costs, float)
    inside = np.array(inside)
    gate_costs = np.array(gate_costs, float)
    within = np.array(within or [-1] * len(gate_costs), int)

    def cost(widths, gates):
        gates = np.asarray(gates, bool)
        gates = gates & np.where(within < 0, True, gates[..., within])
        here = np.where(inside < 0, True, gates[..., inside])
        return np.sum(widths * here * costs, -1) + gates @ gate_costs

    return UnitSpace(
        sizes=sizes,
        multiples=np.array(multiples or [1] * len(sizes)),
        gate_kinds=np.zeros(len(gate_costs), int),
        cost=cost,
    )


def random_space(random):
    """A bilinear cost; layers hold groups and, some of them, other layers."""
    groups, layers = random.integers(1, 6), random.integers(1, 5)
    inside = random.integers(-1, layers, groups)
    # A layer may be a part of one before it.
    within = np.array([random.integers(-1, max(i, 1)) for i in range(layers)])
    within[(random.random(layers) < 0.6) | (within >= np.arange(layers))] = -1
    price = random.integers(0, 9, (groups, groups))
    np.fill_diagonal(price, random.integers(1, 9, groups))
    gate_price = random.integers(1, 50, layers)

    def cost(widths, gates):
        gates = np.array(gates, bool)
        for layer in range(layers):
            if within[layer] >= 0:
                gates[..., layer] &= gates[..., within[layer]]
        here = np.where(inside < 0, True, gates[..., inside])
        present = widths * here
        pairs = np.einsum("...i,ij,...j", present, price, present)
        return 5.0 + pairs + gates @ gate_price

    return UnitSpace(
        sizes=random.integers(1, 9, groups),
        multiples=random.integers(1, 4, groups),
        gate_kinds=random.integers(0, 2, layers),
        cost=cost,
    )


def random_market(seed, way, unknown=0.2, dead=0.1):
    """A market anywhere between seed and full network, and a limit."""
    random = np.random.default_rng(seed)
    space = random_space(random)
    layers = len(space.gate_kinds)
    units = np.zeros(space.unit_count, bool)
    for group, part in enumerate(space.slices()):
        width = space.smallest_widths()[group]
        for _ in range(random.integers(0, 9)):
            width = space.wider(group, width)
        chosen = random.permutation(space.sizes[group])[:width]
        units[part.start + chosen] = True
    worth = random.normal(1, 1, space.unit_count)
    gate_worth = random.normal(5, 5, layers)
    for values in (worth, gate_worth):
        values[random.random(len(values)) < unknown] = NAN
        values[random.random(len(values)) < dead] = 0.0
    low = space.cost(space.smallest_widths(), np.zeros(layers, bool))
    full = space.cost(space.sizes, np.ones(layers, bool))
    market = Market(
        space,
        units,
        random.random(layers) < 0.6,
        worth,
        gate_worth,
        kept_gates=random.random(layers) < 0.3,
        lived=random.random(space.unit_count) < 0.5,
    )
    return space, market, float(low + way * (full - low))


def purchases_that_fit(space, widths, gates, limit):
    """All single steps that would cost something, and fit."""
    cost = space.cost(widths, gates)
    found = []
    for group in range(len(widths)):
        wider = widths.copy()
        wider[group] = space.wider(group, widths[group])
        if cost < space.cost(wider, gates) <= limit:
            found.append(("unit", group))
    # What costs nothing whatever its width is in a layer that is off.
    least, smallest = widths.copy(), space.smallest_widths()
    for group in range(len(widths)):
        narrow, wide = widths.copy(), widths.copy()
        narrow[group], wide[group] = smallest[group], space.sizes[group]
        if space.cost(narrow, gates) == space.cost(wide, gates):
            least[group] = smallest[group]
    for gate in np.flatnonzero(~gates):
        more = gates.copy()
        more[gate] = True
        if cost < space.cost(least, more) <= limit:
            found.append(("gate", gate))
    return found


def landed(space, units, gates, worth, gate_worth, limit, **kwargs):
    market = Market(space, units, gates, worth, gate_worth, **kwargs)
    market.land_on(limit)
    return market


# Layers that come back


def test_a_layer_that_was_sold_long_ago_comes_back_for_its_own_worth():
    # 100 for a cost of 2, against newcomers that promise 1 / 2 and 1 / 3.
    space = gated_space([3], [1], [-1], [2])
    market = landed(space, [1, 0, 0], [0], [1, NAN, NAN], [100], 3)
    assert market.gates.tolist() == [True]
    assert market.units.tolist() == [True, False, False]
    assert market.cost == 3.0


@pytest.mark.parametrize("worth, comes", [(4.9, False), (5.1, True)])
def test_a_layer_competes_with_newcomers_for_the_same_room(worth, comes):
    # Two newcomers promise 6 / 2 + 6 / 3 = 5 for the cost of the layer.
    space = gated_space([4], [1], [-1], [2])
    market = landed(space, [1, 0, 0, 0], [0], [6, NAN, NAN, NAN], [worth], 3)
    assert market.gates.tolist() == [comes]
    assert np.count_nonzero(market.units) == (1 if comes else 3)


def test_of_layers_the_best_worth_per_cost_comes_back():
    # Per cost 2, 3, 2.5; one fits. The largest worth of all is the third's.
    space = gated_space([1], [1], [-1], [4, 4, 5])
    market = landed(space, [1], [0, 0, 0], [1], [8, 12, 11], 6)
    assert market.gates.tolist() == [False, True, False]


def test_what_a_layer_is_worth_as_a_whole_counts_not_its_price():
    # Per cost 0.2 and 0.225, but of the two only one fits.
    space = gated_space([1], [1], [-1], [50, 40])
    market = landed(space, [1], [1, 1], [1], [10, 9], 51)
    assert market.gates.tolist() == [True, False]
    assert market.price == pytest.approx(0.2)  # of what was sold first


def test_a_sold_layer_makes_room_for_several_others():
    # Sold by price are the layers of 28, 20 (0.086 and 0.073 a cost). Instead
    # of the one of 28, those of 20 and 19 stay: 1.46 + 2.31 > 2.41.
    space = gated_space([1], [5], [-1], [20, 16, 28, 19])
    market = landed(space, [1], [1] * 4, [9], [1.46, 2.9, 2.41, 2.31], 67)
    assert market.gates.tolist() == [True, True, False, True]


def test_a_layer_that_is_worth_less_than_what_has_to_go_stays_out():
    # It would cost two of the units, 2 + 3.
    space = gated_space([3], [2], [-1], [4])
    market = landed(space, [1] * 3, [0], [2, 3, 4], [4.9], 6)
    assert market.gates.tolist() == [False]
    market = landed(space, [1] * 3, [0], [2, 3, 4], [5.1], 6)
    assert market.gates.tolist() == [True]
    assert market.units.tolist() == [False, False, True]


def test_what_a_layer_displaces_comes_back_where_it_fits():
    # For the layer 0.1 and 0.6 go; the former fits again: 0.65 > 0.6.
    space = gated_space([2, 2], [1, 5], [-1, -1], [5])
    for worth, comes in ((0.55, False), (0.65, True)):
        market = landed(space, [1] * 4, [0], [9, 0.1, 9, 0.6], [worth], 12)
        assert market.gates.tolist() == [comes]
        assert market.units.tolist() == [True, True, True, not comes]


def test_newcomers_that_promise_harm_make_no_layer_better():
    # 0.5 for a unit worth 1 is no gain, though a newcomer promises -6 / 2.
    space = gated_space([2, 2], [1, 3], [-1, -1], [4])
    market = landed(space, [1, 0, 1, 1], [0], [-6, NAN, 9, 1], [0.5], 8)
    assert market.gates.tolist() == [False]
    assert market.units.all()


def test_several_layers_come_back():
    space = gated_space([9], [1], [-1], [2, 3, 9])
    worth = [1] + [NAN] * 8
    market = landed(space, [1] + [0] * 8, [0] * 3, worth, [9, 8, 7], 6)
    assert market.gates.tolist() == [True, True, False]
    assert market.widths.tolist() == [1]


def test_a_layer_comes_back_narrowed_to_what_fits():
    # Inside, two of four units fit: 1 + 1 + 2 * 2 = 6.
    space = gated_space([1, 4], [1, 2], [-1, 0], [1])
    market = landed(space, [1] * 5, [0], [9, 1, 4, 2, 3], [10], 6.5)
    assert market.gates.tolist() == [True]
    assert market.units.tolist() == [True, False, True, False, True]
    assert market.cost == 6.0


def test_narrowing_a_layer_lowers_what_it_is_worth():
    # With two of its units gone it is worth 10 - 1 - 2 = 7, less than 8.
    space = gated_space([2, 4], [6, 2], [-1, 0], [2])
    for own, comes in ((8, False), (6.9, True)):
        worth = [9, own, 1, 4, 2, 3]
        market = landed(space, [1] * 6, [0], worth, [10], 12)
        assert market.gates.tolist() == [comes]
        assert market.cost == 12.0


def test_a_layer_that_was_never_there_comes_where_no_unit_fits():
    space = gated_space([3], [1], [-1], [2])
    arguments = [1, 0, 0], [0], [1, NAN, NAN], [NAN]
    market = landed(space, *arguments, 3)
    assert market.gates.tolist() == [False]
    assert market.units.tolist() == [True] * 3
    assert landed(space, *arguments, 4.9).gates.tolist() == [False]
    assert landed(space, *arguments, 5).gates.tolist() == [True]


def test_a_layer_that_seems_to_harm_only_takes_room_left_over():
    space = gated_space([3], [1], [-1], [2])
    arguments = [1, 0, 0], [0], [1, NAN, NAN], [-1]
    assert landed(space, *arguments, 3).gates.tolist() == [False]
    assert landed(space, *arguments, 5).gates.tolist() == [True]


def test_measured_layers_come_before_new_ones_and_useless_ones_last():
    space = gated_space([1], [1], [-1], [2, 2, 2, 2])
    gate_worth = [0, NAN, -5, -4]
    for limit, gates in (
        (3, [0, 0, 0, 1]),
        (5, [0, 0, 1, 1]),
        (7, [0, 1, 1, 1]),
        (9, [1, 1, 1, 1]),
    ):
        market = landed(space, [1], [0] * 4, [1], gate_worth, limit)
        assert market.gates.tolist() == [bool(gate) for gate in gates]


def test_a_layer_comes_although_none_was_ever_measured():
    space = gated_space([1], [1], [-1], [2, 2])
    market = landed(space, [1], [1, 0], [1], [NAN, NAN], 5)
    assert market.gates.tolist() == [True, True]


def test_units_inside_a_layer_that_is_off_are_not_bought():
    space = gated_space([2, 4], [1, 1], [-1, 0], [9])
    worth = [2, NAN, 5, NAN, NAN, NAN]
    market = landed(space, [1, 0, 1, 0, 0, 0], [0], worth, [7], 5)
    assert market.units.tolist() == [True, True, True, False, False, False]
    assert market.cost == 2.0


def test_a_layer_comes_back_without_the_layer_inside_it():
    # Outer 3, inner 4 and its unit 1; the limit leaves room for the outer.
    space = gated_space([1, 1], [1, 1], [-1, 1], [3, 4], within=[-1, 0])
    market = landed(space, [1, 1], [0, 1], [1, 1], [-1, 2], 4.5)
    assert market.gates.tolist() == [True, False]
    assert market.cost == 4.0
    market = landed(space, [1, 1], [0, 1], [1, 1], [-1, 2], 9)
    assert market.gates.tolist() == [True, True]


def test_a_layer_in_its_grace_is_not_given_up_for_another():
    space = gated_space([1], [1], [-1], [4, 4])
    arguments = [1], [1, 0], [1], [1, 50], 5
    market = landed(space, *arguments, kept_gates=np.array([True, False]))
    assert market.gates.tolist() == [True, False]
    assert landed(space, *arguments).gates.tolist() == [False, True]


def test_what_is_kept_goes_where_the_budget_binds():
    # The first layer has to go. In its place comes the one that was measured,
    # not the one that is merely unknown.
    space = gated_space([1], [1], [-1], [4, 2, 2])
    kept = np.array([True, False, False])
    arguments = [1], [1, 0, 0], [1], [5, NAN, -1], 3
    market = landed(space, *arguments, kept_gates=kept)
    assert market.gates.tolist() == [False, False, True]


def test_units_that_are_kept_go_where_the_budget_binds():
    space = gated_space([3], [1], [-1], [1])
    kept = dict(kept_units=np.ones(3, bool), kept_gates=np.ones(1, bool))
    market = landed(space, [1] * 3, [1], [2, 1, 3], [9], 3, **kept)
    assert market.units.tolist() == [True, False, True]


def test_trying_layers_leaves_what_is_kept_as_it_was():
    kept = np.zeros(2, bool)
    space = gated_space([1], [1], [-1], [4, 4])
    market = landed(space, [1], [1, 0], [1], [1, 50], 5, kept_gates=kept)
    assert not kept.any()
    assert not market.kept_gates.any()


def test_layers_that_cannot_come_cost_no_time():
    # Neither is the first narrowed unit by unit, nor are units sold one by one
    # for the second, which is worth less than the first of them.
    calls = []
    space = gated_space([500, 400], [1, 1], [-1, 0], [9, 300])

    def cost(widths, gates):
        calls.append(0)
        return space.cost(widths, gates)

    counted = UnitSpace(space.sizes, space.multiples, space.gate_kinds, cost)
    market = landed(counted, [1] * 900, [0, 0], [1] * 900, [-1, 0.5], 505)
    assert market.cost == 500.0
    assert market.gates.tolist() == [False, False]
    assert len(calls) < 50
    # Nor are more units bought than it takes to be worth as much as a layer:
    # 10 / 2 + 10 / 3. Those that come in the end are another 199.
    calls.clear()
    units, worth = [1] + [0] * 499 + [1] * 400, [10] + [NAN] * 499 + [1] * 400
    market = landed(counted, units, [0, 0], worth, [NAN, 8], 301)
    assert market.gates.tolist() == [False, False]
    assert len(calls) < 350


# For any network


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.floats(0, 1))
def test_the_landing_uses_the_budget(seed, way):
    space, market, limit = random_market(seed, way)
    market.land_on(limit)
    widths = space.widths(market.units)
    assert market.widths.tolist() == widths.tolist()
    assert market.cost == space.cost(widths, market.gates)
    assert market.cost <= limit * (1 + 1e-9)
    for width, size, multiple in zip(widths, space.sizes, space.multiples):
        assert width > 0 and (width == size or width % multiple == 0)
    assert purchases_that_fit(space, widths, market.gates, limit) == []


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.floats(0, 1))
def test_a_layer_of_most_worth_per_cost_comes_back_where_it_fits(seed, way):
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 9, random.integers(1, 4))
    worth = random.random(sizes.sum())
    cost = random.integers(1, sizes.sum() + 1)
    space = gated_space(sizes, [1] * len(sizes), [-1] * len(sizes), [cost])
    least = len(sizes) + cost
    limit = least + way * (sizes.sum() - len(sizes))
    gate_worth = [1.001 * cost * worth.max()]
    units = np.ones(sizes.sum())
    market = landed(space, units, [0], worth, gate_worth, limit)
    assert market.gates.tolist() == [True]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.floats(0, 1))
def test_trying_layers_never_lowers_the_total_worth(seed, way):
    random = np.random.default_rng(seed)
    layers, sizes = random.integers(1, 5), random.integers(1, 5, 2)
    worth = random.random(sizes.sum()) + 0.1
    gate_worth = 3 * random.random(layers) + 0.1
    space = gated_space(
        sizes,
        random.integers(1, 9, 2),
        [-1, -1],
        random.integers(1, 30, layers),
    )
    low = space.cost(np.ones(2), np.zeros(layers))
    limit = low + way * (space.cost(sizes, np.ones(layers)) - low)
    start = np.ones(sizes.sum()), random.random(layers) < 0.7
    by_price = Market(space, *start, worth, gate_worth)
    by_price.sell_down_to(limit)
    by_price.buy_up_to(limit, newcomers=False)
    market = landed(space, *start, worth, gate_worth, limit)

    def total(market):
        return worth @ market.units + gate_worth @ market.gates

    assert total(market) >= total(by_price) - 1e-9
    assert market.total == pytest.approx(
        total(market) - worth.sum() - gate_worth @ start[1]
    )

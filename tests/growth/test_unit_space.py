import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_growprune.growth import UnitSpace


def product_cost(widths, gates):
    """Two layers in a row and one gated layer of cost 10."""
    widths = np.asarray(widths)
    chain = 3 * widths[..., 0] + widths[..., 0] * widths[..., 1]
    return chain + 10 * np.asarray(gates)[..., 0]


def make_space(sizes=(10, 6), multiples=(4, 1), cost=product_cost):
    return UnitSpace(
        sizes=np.array(sizes),
        multiples=np.array(multiples),
        gate_kinds=np.array([0]),
        cost=cost,
    )


def test_units_of_groups_follow_each_other():
    space = make_space()
    assert space.unit_count == 16
    assert space.starts.tolist() == [0, 10]
    assert space.slices() == [slice(0, 10), slice(10, 16)]
    assert space.unit_groups().tolist() == [0] * 10 + [1] * 6


def test_widths_count_the_units_of_each_group():
    units = np.zeros(16, bool)
    units[[0, 9, 10]] = True
    assert make_space().widths(units).tolist() == [2, 1]


def test_widths_step_over_multiples_up_to_the_full_width():
    space = make_space()
    assert [space.wider(0, w) for w in (4, 8, 10)] == [8, 10, 10]
    assert [space.narrower(0, w) for w in (10, 8, 4)] == [8, 4, 4]
    assert [space.wider(1, w) for w in (1, 5, 6)] == [2, 6, 6]
    assert [space.narrower(1, w) for w in (6, 2, 1)] == [5, 1, 1]


def test_a_width_between_multiples_steps_to_the_nearest_one():
    space = make_space()
    assert space.wider(0, 5) == 8
    assert space.narrower(0, 5) == 4


def test_a_multiple_above_the_size_leaves_only_the_full_width():
    space = make_space(sizes=(3, 6))
    assert space.smallest_widths().tolist() == [3, 1]
    assert space.narrower(0, 3) == 3
    assert space.wider(0, 3) == 3


def test_unit_costs_are_differences_at_the_present_widths():
    # cost(5, 3) = 15 + 15; without one unit of the first group 12 + 12,
    # without one of the second 15 + 10.
    found = make_space().unit_costs(np.array([5, 3]), np.array([True]))
    np.testing.assert_array_equal(found, [6, 5])


def test_unit_cost_of_the_last_unit_is_that_of_the_next_one():
    found = make_space().unit_costs(np.array([1, 1]), np.array([False]))
    np.testing.assert_array_equal(found, [4, 1])


def test_uniform_rounds_down_to_multiples_but_keeps_one_step():
    space = make_space()
    assert space.uniform(0.5).tolist() == [4, 3]
    assert space.uniform(0.8).tolist() == [8, 4]
    assert space.uniform(0.01).tolist() == [4, 1]
    assert space.uniform(1.0).tolist() == [10, 6]


def test_uniform_keeps_given_widths():
    assert make_space().uniform(0.5, {1: 6}).tolist() == [4, 6]


def test_seed_is_the_largest_uniform_network_that_fits():
    # Uniform widths of (4, w) cost 12 + 4w, and 10 for the gate.
    space, gates = make_space(), np.array([True])
    assert space.seed_widths(34, gates).tolist() == [4, 3]
    assert space.seed_widths(33.9, gates).tolist() == [4, 2]
    assert space.seed_widths(1e9, gates).tolist() == [10, 6]


def test_seed_is_the_smallest_network_when_nothing_fits():
    assert make_space().seed_widths(1, np.array([True])).tolist() == [4, 1]


def test_seed_keeps_given_widths():
    seed = make_space().seed_widths(30, np.array([False]), {1: 4})
    assert seed.tolist() == [4, 4]


def test_a_network_of_gated_layers_alone_has_a_seed():
    space = UnitSpace(
        sizes=np.zeros(0, int),
        multiples=np.zeros(0, int),
        gate_kinds=np.array([0]),
        cost=lambda widths, gates: 5.0 + np.sum(gates, axis=-1),
    )
    assert space.slices() == []
    assert space.seed_widths(6.0, np.array([True])).tolist() == []


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(1, 20), st.integers(1, 8))
def test_steps_visit_every_admissible_width_both_ways(size, multiple):
    space = make_space(sizes=(size, 1), multiples=(multiple, 1))
    smallest = int(space.smallest_widths()[0])
    up = [smallest]
    while space.wider(0, up[-1]) != up[-1]:
        up.append(int(space.wider(0, up[-1])))
    admissible = {w for w in range(1, size + 1) if w % multiple == 0}
    assert up == sorted(admissible | {size})
    down = [size]
    while space.narrower(0, down[-1]) != down[-1]:
        down.append(int(space.narrower(0, down[-1])))
    assert down == up[::-1]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**16), st.floats(0.05, 1.0))
def test_seed_never_costs_more_than_asked_unless_it_is_smallest(seed, share):
    random = np.random.default_rng(seed)
    space = make_space(
        sizes=random.integers(1, 20, 2), multiples=random.integers(1, 5, 2)
    )
    gates = np.array([True])
    limit = share * float(space.cost(space.sizes, gates))
    widths = space.seed_widths(limit, gates)
    if widths.tolist() != space.smallest_widths().tolist():
        assert space.cost(widths, gates) <= limit * (1 + 1e-9)
    for width, size, multiple in zip(widths, space.sizes, space.multiples):
        assert width == size or width % multiple == 0


def test_the_space_cannot_be_changed():
    with pytest.raises(AttributeError):
        make_space().sizes = np.array([1])


@pytest.mark.parametrize(
    "multiple,least,smallest", [(1, 1, 1), (1, 3, 3), (2, 3, 4), (4, 20, 10)]
)
def test_no_width_is_below_the_least_one(multiple, least, smallest):
    space = UnitSpace(
        sizes=np.array([10]),
        multiples=np.array([multiple]),
        gate_kinds=np.zeros(0, int),
        cost=lambda widths, gates: np.asarray(widths)[..., 0],
        least=np.array([least]),
    )
    assert space.smallest_widths().tolist() == [smallest]
    assert space.narrower(0, smallest) == smallest
    assert space.uniform(0.01).tolist() == [smallest]


@pytest.mark.parametrize(
    "cost,expected",
    [
        (10, [0, 0, 0, 0, 0]),  # the widths alone cost 10
        (11, [1, 0, 0, 0, 0]),
        (13, [1, 0, 0, 1, 0]),  # then one of the other kind, which costs 2
        (14, [1, 1, 0, 1, 0]),
        (15, [1, 1, 1, 1, 0]),  # no room for another one of the other kind
        (99, [1, 1, 1, 1, 1]),
    ],
)
def test_a_shallow_seed_has_layers_of_all_kinds_as_far_as_they_fit(
    cost, expected
):
    space = UnitSpace(
        sizes=np.array([10]),
        multiples=np.array([1]),
        gate_kinds=np.array([0, 0, 0, 1, 1]),
        cost=lambda widths, gates: (
            np.sum(widths, axis=-1) + gates @ np.array([1, 1, 1, 2, 2])
        ),
    )
    assert space.seed_gates(cost, np.ones(5, bool)).tolist() == expected
    stays = np.array([True, True, False, True, True])
    assert space.seed_gates(0, stays).tolist() == [0, 0, 1, 0, 0]

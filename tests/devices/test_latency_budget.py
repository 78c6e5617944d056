"""Growing under a budget of time."""

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import fit
from tests.networks import grow
from tests.networks import residual

PROFILE = kgp.DeviceProfile(
    {"convolution": (50.0, 10.0, 0.0, 0.01), "dense": (1.0, 1.0, 0.0, 0.0)},
    block=4,
)


@pytest.mark.parametrize(
    "rule", ["saliency", pytest.param("paper", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("bound", [{"latency": 0.5}, {"latency_ms": 4.0}])
def test_a_settled_network_fills_its_time_and_never_exceeds_it(bound, rule):
    model = grow(
        residual(12, blocks=2, inner=10),
        kgp.Budget(**bound, profile=PROFILE),
        rule=rule,
    )
    compile_model(model, "adam")
    fit(model, epochs=5)
    assert model.settled
    growth = model._growth.blueprint
    cost, limit = growth.cost, growth.limit
    now = PROFILE.milliseconds(model.compact())
    assert now <= limit * (1 + 1e-9)
    widths = np.array(list(model.widths.values()))
    sizes = np.array([group.size for group in model.groups])
    assert np.all((widths % 4 == 0) | (widths == sizes))
    for group in range(len(widths)):
        more = widths.copy()
        more[group] = growth.space.wider(group, widths[group])
        wider = float(cost(more, model.structure.gates))
        assert wider > limit or wider <= now * (1 + 1e-9)
    full = PROFILE.milliseconds(keras.Model(model.inputs, model.outputs))
    assert full >= now
    expected = 0.5 * cost.full if "latency" in bound else 4.0
    assert limit == pytest.approx(expected)


def test_logs_tell_the_time_as_a_fraction():
    model = grow(conv_chain((8, 8)), kgp.Budget(latency=0.7, profile=PROFILE))
    compile_model(model)
    logs = fit(model, epochs=3)
    whole = model._growth.blueprint.cost.full
    now = PROFILE.milliseconds(model.compact())
    assert logs["cost"][-1] == pytest.approx(now / whole)
    assert logs["flops"][-1] != logs["cost"][-1]


def test_the_block_of_the_device_is_the_multiple_of_widths():
    budget = kgp.Budget(latency=0.7, profile=PROFILE)
    for multiple, expected in ((1, 4), ("auto", 4), (2, 4), (6, 12)):
        model = grow(conv_chain((24, 24)), budget, width_multiple=multiple)
        assert set(model._growth.blueprint.space.multiples) == {expected}


def test_automatic_multiples_leave_narrower_layers_whole():
    budget = kgp.Budget(latency=0.9, profile=PROFILE)
    model = grow(conv_chain((3, 8)), budget, width_multiple="auto")
    assert list(model.widths.values())[0] == 3


def test_automatic_multiples_need_a_device():
    with pytest.raises(ValueError, match="budget without one"):
        grow(conv_chain(), kgp.Budget(flops=0.5), width_multiple="auto")


def test_budget_and_device_are_saved(tmp_path):
    budget = kgp.Budget(latency_ms=1.0, profile=PROFILE)
    model = grow(conv_chain((8, 8)), budget, width_multiple="auto")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.budget.get_config() == budget.get_config()
    assert loaded.budget.profile.get_config() == PROFILE.get_config()
    assert loaded._growth.blueprint.limit == 1.0


def test_a_time_that_no_network_meets_says_what_is_reachable():
    with pytest.raises(ValueError, match=r"can be 0\.\d+ to 0\.\d+ ms"):
        grow(conv_chain(), kgp.Budget(latency_ms=9.0, profile=PROFILE))


@pytest.mark.parametrize(
    "arguments",
    [
        dict(latency=0.5),
        dict(latency_ms=3),
        dict(flops=0.5, profile=PROFILE),
        dict(latency=0.5, profile="phone.json"),
        dict(latency=0.5, profile=kgp.DeviceProfile),
    ],
)
def test_time_needs_a_device_and_nothing_else_has_one(arguments):
    with pytest.raises(ValueError, match="`profile` must be a `DeviceProfile`"):
        kgp.Budget(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        dict(latency=0),
        dict(latency=1.5),
        dict(latency=True),
        dict(latency_ms=-1),
        dict(latency_ms="fast"),
    ],
)
def test_a_time_out_of_its_range_is_refused(arguments):
    with pytest.raises(ValueError, match="must be a .*number"):
        kgp.Budget(**arguments, profile=PROFILE)


def test_under_a_budget_of_time_the_seed_is_shallow_and_wide():
    layer = kgp.DeviceProfile({"convolution": (1.0, 1.0, 0.0, 1.0)})
    budget = kgp.Budget(latency=0.8, profile=layer)
    model = grow(residual(6, blocks=6), budget)
    assert 0 < model.structure.gates.sum() < 6
    assert model.structure.units.all()
    assert model.schedule.seed_shape == "shallow"
    narrow = grow(residual(6, blocks=6), budget, rule="paper")
    assert narrow.structure.gates.all()

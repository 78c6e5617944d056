"""Changes of shape in place: what must stay is exactly what it was."""

import numpy as np
import pytest

import keras_growprune as kgp
from keras_growprune.structure import Structure
from tests.networks import FULL
from tests.networks import assert_same_bits
from tests.networks import build_optimizer
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import depthwise
from tests.networks import examples
from tests.networks import grow
from tests.networks import mark_as_lived
from tests.networks import network_arrays
from tests.networks import random_network
from tests.networks import random_structure
from tests.networks import randomize
from tests.networks import residual
from tests.networks import with_units

ADAM_SLOTS = {None, "_momentums", "_velocities"}


@pytest.mark.parametrize("seed", range(8))
def test_survivors_and_returning_units_keep_weights_and_slots(seed):
    random = np.random.default_rng(seed)
    model = grow(random_network(seed))
    build_optimizer(model, "adam")
    mark_as_lived(model)
    last = None
    for _ in range(5):
        randomize(model, random)
        now = network_arrays(model)
        assert {name for _, name in now} == ADAM_SLOTS
        last = last or now
        last = {k: np.where(np.isnan(now[k]), last[k], now[k]) for k in now}
        model.restructure(random_structure(model, random))
        for (index, name), value in network_arrays(model).items():
            known = ~np.isnan(value) & ~np.isnan(last[index, name])
            np.testing.assert_array_equal(
                value[known], last[index, name][known]
            )
            if name is not None:  # newcomers have no momentum
                assert not value[~np.isnan(value) & ~known].any()


@pytest.mark.parametrize("seed", range(8))
def test_compact_network_equals_the_running_one(seed):
    random = np.random.default_rng(seed)
    model = grow(random_network(seed))
    mark_as_lived(model)
    x, _ = examples(model)
    for _ in range(3):
        model.restructure(random_structure(model, random))
        randomize(model, random)
        expected = np.array(model(x))
        small = model.compact()
        assert np.ptp(expected) > 0.01
        np.testing.assert_allclose(small(x), expected, rtol=1e-5, atol=1e-5)
        assert small.count_params() == model.count_params()


@pytest.mark.parametrize("seed", range(4))
def test_newcomers_leave_the_outputs_as_they_were(seed):
    random = np.random.default_rng(seed)
    model = grow(random_network(seed, layer_norm=False))
    x, _ = examples(model)
    gates = model.structure.gates
    while not model.structure.units.all():
        randomize(model, random)
        before = np.array(model(x))
        units = model.structure.units.copy()
        units[random.choice(np.flatnonzero(~units))] = True
        model.restructure(Structure(units, gates))
        np.testing.assert_allclose(model(x), before, rtol=1e-5, atol=1e-5)


def test_newcomers_bought_together_read_each_other():
    model = grow(conv_chain((4, 4)))
    model.restructure(with_units(model, [0], [0]))
    kernel = model.layers[4].kernel
    randomize(model, np.random.default_rng(0))
    old = float(kernel.numpy()[1, 1, 0, 0])
    model.restructure(with_units(model, [0, 3], [0, 2]))
    taps = kernel.numpy()[1, 1]
    assert taps[0, 0] == np.float32(old)  # the survivor
    assert taps[1, 0] == 0  # it does not see the newcomer
    assert taps[0, 1] != 0 and taps[1, 1] != 0  # fresh incoming weights


def test_two_newcomers_are_not_alike():
    model = grow(conv_chain((6,)))
    model.restructure(with_units(model, [0]))
    model.restructure(with_units(model, [0, 1]))
    model.restructure(with_units(model, [0, 1, 2]))
    kernel = model.layers[1].kernel.numpy()
    assert np.abs(kernel[..., 1] - kernel[..., 2]).max() > 0.01


def test_newcomers_are_drawn_at_the_present_fan_in():
    model = grow(conv_chain((16, 16), image=(6, 6, 2)), schedule=FULL)
    layer = model.layers[4]
    limit = np.sqrt(6 / (9 * 16 + 9 * 16))  # glorot_uniform at full width
    assert 0.8 * limit < np.abs(layer.kernel).max() <= limit
    narrow = grow(conv_chain((16, 16), image=(6, 6, 2)))
    widths = list(narrow.widths.values())
    layer = narrow.layers[4]
    limit = np.sqrt(6 / (9 * widths[0] + 9 * widths[1]))
    assert 0.8 * limit < np.abs(layer.kernel).max() <= limit


def test_a_layer_that_never_lived_starts_as_the_identity():
    schedule = kgp.GrowthSchedule(0.3, 1.0, seed_shape="shallow")
    model = grow(residual(4), schedule=schedule)
    units = model.structure.units
    assert not model.structure.gates.any()
    randomize(model, np.random.default_rng(0))
    x, _ = examples(model)
    before = np.array(model(x))
    model.restructure(Structure(units, [True]))
    np.testing.assert_allclose(model(x), before, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("is_trained", [True, False])
def test_a_layer_that_lived_comes_back_as_it_was(is_trained):
    model = grow(residual(4), schedule=FULL)
    if is_trained:
        mark_as_lived(model)
    randomize(model, np.random.default_rng(0))
    x, _ = examples(model)
    on, before = model.structure, np.array(model(x))
    model.restructure(Structure(on.units, [False]))
    assert np.abs(np.array(model(x)) - before).max() > 0.01
    model.restructure(on)
    np.testing.assert_array_equal(model(x), before)


@pytest.mark.parametrize("network", [conv_chain, residual, depthwise])
def test_the_same_structure_changes_no_bit(network):
    losses, weights = [], []
    for restructured in (False, True):
        model = grow(network())
        randomize(model, np.random.default_rng(1))
        build_optimizer(model, "adam")
        x, y = examples(model, 16)
        model.train_on_batch(x, y)
        before = [v.numpy() for v in model.optimizer.variables]
        before += model.get_weights()
        if restructured:
            model.restructure(model.structure)
            after = [*model.optimizer.variables, *model.weights]
            assert_same_bits(before, after)
        model.reset_metrics()
        losses.append(model.train_on_batch(x, y))
        weights.append([*model.optimizer.variables, *model.weights])
    assert losses[0] == losses[1]
    assert_same_bits(*weights)


def test_there_and_back_changes_no_weight_and_no_slot():
    model = grow(residual(4), schedule=FULL)
    build_optimizer(model, "adam")
    mark_as_lived(model)
    randomize(model, np.random.default_rng(1))
    before = [v.numpy() for v in model.optimizer.variables]
    before += model.get_weights()
    home = model.structure
    model.restructure(with_units(model, [1, 2], [0], gates=[False]))
    model.restructure(home)
    assert_same_bits(before, [*model.optimizer.variables, *model.weights])


def test_layers_tensors_and_specs_tell_the_present_widths():
    model = grow(conv_chain((4, 6)))
    model.restructure(with_units(model, [0, 3], [1, 2, 4]))
    first, norm, _, second = model.layers[1:5]
    assert (first.filters, second.filters) == (2, 3)
    assert first.output.shape == (None, 6, 6, 2)
    assert second.kernel.shape == (3, 3, 2, 3)
    assert norm.input_spec.axes == {-1: 2}
    assert model.layers[-1].input_spec.axes == {-1: 3}
    # 3*3*2*2 + 4*2 + 3*3*2*3 + 4*3 + 3*3 + 3
    assert model.count_params() == 36 + 8 + 54 + 12 + 12


def test_a_layer_that_is_off_is_not_called_and_holds_nothing():
    model = grow(residual(4), schedule=FULL)
    mark_as_lived(model)
    inner = model.layers[4]
    calls = []
    original = inner.call
    inner.call = lambda *args, **kwargs: calls.append(1) or original(*args)
    x, _ = examples(model)
    model(x)
    assert calls == [1]
    model.restructure(Structure(model.structure.units, [False]))
    model(x)
    assert calls == [1]
    assert inner.kernel.shape == (3, 3, 0, 0)
    # Stem 3*3*2*4 + 4*4, head 4*3 + 3; nothing of the block.
    assert model.count_params() == 72 + 16 + 15


def test_a_structure_of_the_wrong_shape_or_without_units_is_refused():
    model = grow(conv_chain((4, 6)))
    before = [v.numpy() for v in model.variables]
    with pytest.raises(
        ValueError, match="3 units in groups, 0 gates; it has 10 units"
    ):
        model.restructure(Structure(np.ones(3), []))
    with pytest.raises(ValueError, match="at least one unit"):
        model.restructure(Structure([0] * 4 + [1] * 6, []))
    assert_same_bits(before, model.variables)


def traces_of(model):
    """How often each kind of function was traced so far."""
    return dict(model._growth.functions.traces)


def test_widths_trace_nothing_and_answers_follow():
    model = compile_model(grow(conv_chain((4, 6))))
    x, y = examples(model)
    model.train_on_batch(x, y)
    model.predict(x, verbose=0)
    before, train = traces_of(model), model.train_function
    for kept in ([0, 1], [1, 2, 3], [3]):
        model.restructure(with_units(model, kept, kept))
        assert model.train_function is train
        model.train_on_batch(x, y)
        found = model.predict(x, verbose=0)
        np.testing.assert_allclose(found, model(x), rtol=1e-5, atol=1e-6)
    assert traces_of(model) == before


def test_functions_of_layers_that_come_back_are_found_again():
    model = compile_model(grow(residual(4), schedule=FULL))
    x, y = examples(model)
    with_block = model.structure
    without = Structure(with_block.units, [False])
    functions, traces = [], []
    for structure in (with_block, without, with_block, without):
        model.restructure(structure)
        model.train_on_batch(x, y)
        model.predict(x, verbose=0)
        functions.append((model.train_function, model.predict_function))
        traces.append(traces_of(model))
    assert functions[0] == functions[2] != functions[1] == functions[3]
    assert traces[0]["train"] == 1 and traces[1]["train"] == 2
    assert traces[1] == traces[2] == traces[3]
    model.compile("adam", "mse")  # other functions
    assert model.train_function is None
    model.restructure(with_block)
    assert model.train_function is None

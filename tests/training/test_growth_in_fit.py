"""Growing inside `fit`: what trains, what it may cost, when it is retraced."""

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from keras_growprune.structure import Structure
from tests.networks import FULL
from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import depthwise
from tests.networks import fit
from tests.networks import grow
from tests.networks import mark_as_lived
from tests.networks import network_arrays
from tests.networks import plain_chain
from tests.networks import random_network
from tests.networks import residual
from tests.networks import with_units

NEVER = kgp.GrowthSchedule(1.0, 1.0, 0.5, 1.0, restructure_every=1000)


class AtEpoch(keras.callbacks.Callback):
    """Calls a function at the beginning of epochs, after restructuring."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def on_epoch_begin(self, epoch, logs=None):
        self.function(epoch)


class Traced(kgp.GrowPruneModel):
    """Counts how often its training step is traced."""

    traces = 0

    def train_step(self, data):
        self.traces += 1
        return super().train_step(data)


def count(model, measure):
    """Cost of the network as it stands, counted on the plain one."""
    small = model.compact()
    return (
        small.count_params() if measure == "params" else kgp.count_flops(small)
    )


def wider_by_one_step(model, multiple):
    """All structures with one group one admissible step wider."""
    for group in model.groups:
        units = model.structure.units.copy()
        part = units[group.slice]  # a view
        width = part.sum()
        wider = min((width // multiple + 1) * multiple, group.size)
        part[np.flatnonzero(~part)[: wider - width]] = True
        if wider > width:
            yield Structure(units, model.structure.gates)


def random_budget(measure, model, random):
    smallest = count_smallest(model, measure)
    full = full_count(model, measure)
    low = smallest / full * 1.05
    share = float(random.uniform(min(low, 0.99), 1.0))
    as_count = bool(random.integers(2))
    value = int(np.ceil(share * full)) if as_count else share
    return kgp.Budget(**{measure: value}), share * full + as_count


def full_count(model, measure):
    model.restructure(
        Structure(
            np.ones_like(model.structure.units),
            np.ones_like(model.structure.gates),
        )
    )
    return count(model, measure)


def count_smallest(model, measure):
    space = model._growth.blueprint.space
    units = np.zeros_like(model.structure.units)
    for part, width in zip(space.slices(), space.smallest_widths()):
        units[part.start : part.start + width] = True
    gates = np.zeros_like(model.structure.gates)
    model.restructure(Structure(units, gates))
    return count(model, measure)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("seed", range(12))
def test_a_settled_network_fills_its_budget_and_never_exceeds_it(seed):
    random = np.random.default_rng(seed)
    measure = "params" if seed % 2 else "flops"
    multiple = (1, 4, 2)[seed % 3]

    def network():
        if seed % 3 == 1:  # 6 is no multiple of 4: it may be full
            return residual(8, blocks=2, inner=6)
        return random_network(seed) if seed % 3 == 0 else residual(6, blocks=1)

    probe = grow(network(), width_multiple=multiple)
    budget, limit = random_budget(measure, probe, random)
    model = grow(network(), budget, width_multiple=multiple)
    state = model._growth.state
    state.saliency = random.normal(0.5, 1.0, state.units.shape)
    state.gate_saliency = random.normal(0.5, 1.0, state.gates.shape)
    state.ages[:], state.gate_ages[:] = 9, 9
    model.settle()
    assert model.settled
    assert count(model, measure) <= limit
    for group, width in zip(model.groups, model.widths.values(), strict=True):
        assert width % multiple == 0 or width == group.size
    here, cost = model.structure, count(model, measure)
    for wider in wider_by_one_step(model, multiple):
        model.restructure(wider)
        more = count(model, measure)
        assert more > limit or more == cost  # free: not in the graph
        model.restructure(here)


@pytest.mark.parametrize("rule", ["saliency", "paper"])
def test_a_budget_that_only_fewer_layers_can_meet_is_met(rule):
    model = grow(residual(6), kgp.Budget(flops=0.03), rule=rule)
    compile_model(model)
    history = fit(model, epochs=3)
    assert history["settled"][-1] == 1
    assert history["cost"][-1] <= 0.03
    # With the block, one filter each: 36 * 9 * 4 + 3 of 36 * 9 * 84 + 18.
    assert not model.structure.gates.any()


def test_settling_in_an_interrupted_epoch_meets_the_budget():
    schedule = kgp.GrowthSchedule(0.1, 1.0, 0.2, 0.9)
    model = grow(residual(8), kgp.Budget(flops=0.15), schedule=schedule)
    compile_model(model)

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if len(model.ledger.epochs) == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, epochs=5, callbacks=[Interrupt()])
    assert model.structure.units.all()  # newcomers that nobody measured
    model.settle()
    assert count(model, "flops") <= 0.15 * full_count(model, "flops")


def test_a_run_goes_from_seed_over_the_peak_to_the_budget_and_stays():
    schedule = kgp.GrowthSchedule(0.3, 0.9, 0.4, 0.8)
    model = grow(conv_chain((8, 8)), kgp.Budget(params=0.5), schedule=schedule)
    compile_model(model)
    seen = []
    look = AtEpoch(lambda epoch: seen.append(dict(model.widths)))
    cost = fit(model, epochs=5, callbacks=[look])["cost"]
    targets = [0.3, 0.6, 0.9, 0.7, 0.5]
    full = 144 + 32 + 576 + 32 + 27
    assert all(0 < c <= t for c, t in zip(cost, targets))
    assert cost[0] < cost[1] < cost[2] > cost[3] > cost[4]
    assert seen[0] != seen[1] != seen[2] != seen[3] != seen[4]
    assert cost[-1] == pytest.approx(model.count_params() / full)
    before = model.structure
    assert set(fit(model, epochs=2)["settled"]) == {1.0}
    assert model.structure == before


@pytest.mark.parametrize("network", [conv_chain, dense, depthwise])
def test_old_and_new_units_really_train_after_a_restructuring(network):
    schedule = kgp.GrowthSchedule(0.3, 1.0, 0.5, 0.5)
    model = grow(network(), kgp.Budget(flops=1.0), schedule=schedule)
    compile_model(model, keras.optimizers.Adam(0.01))
    at_begin = []
    note = AtEpoch(lambda epoch: at_begin.append(network_arrays(model)))
    fit(model, epochs=2, callbacks=[note])
    assert not model.structure.units[[0]].all() or model.settled
    started = np.concatenate(
        [np.isnan(v).ravel() for v in at_begin[0].values()]
    )
    assert started.any()  # there are newcomers
    for (index, name), value in network_arrays(model).items():
        weight = model._growth.blueprint.map.weights[index]
        if name is None and weight.attribute != "bias":
            # All but what sits behind a ReLU that never opens.
            assert np.mean(value != at_begin[1][index, None]) > 0.7


def test_a_layer_comes_back_in_the_middle_of_training_and_trains():
    model = grow(residual(4), schedule=NEVER)
    compile_model(model, keras.optimizers.Adam(0.01))
    fit(model, epochs=1, growth_epochs=9000)
    on = model.structure
    kernel = model.layers[4].kernel
    left = kernel.numpy()
    model.restructure(Structure(on.units, [False]))
    stem = model.layers[1].kernel.numpy()
    fit(model, epochs=1, growth_epochs=9000)
    assert kernel.shape == (3, 3, 0, 0)
    assert np.abs(model.layers[1].kernel.numpy() - stem).max() > 0
    model.restructure(on)
    np.testing.assert_array_equal(kernel, left)
    fit(model, epochs=1, growth_epochs=9000)
    assert np.mean(kernel.numpy() != left) > 0.7


def test_nothing_is_retraced_while_the_layers_stay():
    growing = kgp.GrowthSchedule(1.0, 1.0, 0.5, 1.0, restructure_every=3)
    model = Traced(*conv_chain((4, 4)), kgp.Budget(flops=1.0), growing, seed=0)
    compile_model(model)
    traces = []
    count = AtEpoch(lambda epoch: traces.append(model.traces))
    fit(model, epochs=4, growth_epochs=9, callbacks=[count])
    assert traces[0] == 0 < traces[1]
    assert traces[1:] == [traces[1]] * 3  # before epoch 3 it was decided
    fit(model, epochs=2, growth_epochs=9, callbacks=[count])
    assert model.traces == traces[1]
    model.restructure(with_units(model, [0, 1], [0, 1]))
    fit(model, epochs=1, growth_epochs=9)
    assert model.traces == traces[1]


def test_an_infinite_loss_leaves_the_structure_as_it_was():
    model = compile_model(grow(conv_chain((4, 4))), keras.optimizers.SGD(1e30))
    before = model.structure
    mark_as_lived(model)
    with pytest.raises(FloatingPointError, match="loss was not finite"):
        fit(model, epochs=4)
    assert model.structure == before
    assert len(model.ledger.epochs) == 1
    assert np.isnan(model._growth.state.saliency).all()


def test_training_functions_are_traced_once_before_the_first_change():
    model = Traced(*conv_chain((4, 4)), kgp.Budget(flops=0.5), NEVER, seed=0)
    compile_model(model)
    fit(model, epochs=1, growth_epochs=9000)
    first = model.traces
    again = Traced(*conv_chain((4, 4)), kgp.Budget(flops=0.5), seed=0)
    compile_model(again)
    fit(again, epochs=1, growth_epochs=9000)  # starts from a seed network
    assert again.traces == first


def test_full_width_at_the_start_keeps_the_given_weights():
    network = conv_chain((4, 5))
    plain = keras.Model(*network)
    given = plain.get_weights()
    grow(network, schedule=FULL)  # takes up the same layers
    assert_same_bits(given, plain.get_weights())


def test_layers_alone_are_bought_and_sold_where_no_width_can_change():
    inputs = x = keras.Input((6,))
    for _ in range(3):
        branch = keras.layers.Dense(6, use_bias=False)(x)
        branch = keras.layers.BatchNormalization()(branch)
        x = kgp.layers.GatedAdd()([x, branch])
    network = inputs, keras.layers.Dense(3)(x)
    schedule = kgp.GrowthSchedule(1.0, 1.0, 0.2, 0.6)
    model = compile_model(
        grow(network, kgp.Budget(params=0.75), schedule=schedule)
    )
    fit(model, epochs=5)
    assert model.settled
    # Three layers of 36 + 12 and a head of 21 units: 165, of which two fit.
    assert model.structure.gates.sum() == 2


def test_a_shallow_seed_is_wide_and_grows_layers_that_start_as_the_identity():
    schedule = kgp.GrowthSchedule(0.6, 1.0, 0.3, 0.6, seed_shape="shallow")
    model = grow(
        residual(4, blocks=3), kgp.Budget(flops=1.0), schedule=schedule
    )
    assert all(w == 4 for w in model.widths.values())
    assert model.structure.gates.tolist() == [True, False, False]
    compile_model(model, keras.optimizers.SGD(0.0))  # trains nothing
    counts = []
    look = AtEpoch(lambda _: counts.append(model.structure.gates.sum()))
    fit(model, epochs=4, callbacks=[look])
    assert counts[0] == 1 and counts[-1] == 3
    ends = [
        layer.get_weights()[0].tolist()
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ][2::2]
    assert ends == [[1.0] * 4, [0.0] * 4, [0.0] * 4]


def test_a_shallow_seed_leaves_out_skips_that_can_come_as_the_identity():
    schedule = kgp.GrowthSchedule(0.3, 1.0, seed_shape="shallow")
    model = grow(plain_chain(4), kgp.Budget(flops=1.0), schedule=schedule)
    assert not model.structure.gates.any()
    compile_model(model, keras.optimizers.SGD(0.0))
    logs = fit(model, epochs=8)
    assert model.structure.gates.all()
    assert logs["cost"][0] < 0.5 and logs["cost"][-1] == 1


def test_a_shallow_seed_keeps_skips_that_could_not_start_as_the_identity():
    inputs = keras.Input((6, 6, 2))
    x = kgp.layers.GrowableConv2D(4, 3, padding="same")(inputs)
    for _ in range(2):
        y = kgp.layers.GrowableConv2D(4, 3, padding="same")(x)
        x = kgp.layers.GatedSkip()([x, keras.layers.Activation("tanh")(y)])
    network = inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x))
    schedule = kgp.GrowthSchedule(0.3, 1.0, seed_shape="shallow")
    model = grow(network, kgp.Budget(flops=1.0), schedule=schedule)
    assert model.structure.gates.all()


@pytest.mark.parametrize("widens", [False, True])
def test_a_skip_that_comes_first_repeats_its_input(widens):
    schedule = kgp.GrowthSchedule(0.3, 1.0, seed_shape="shallow")
    model = grow(plain_chain(6), kgp.Budget(flops=1.0), schedule=schedule)
    compile_model(model, keras.optimizers.SGD(0.05))
    fit(model, epochs=1, growth_epochs=100)
    units = model.structure.units.copy()
    units[-1] = not widens
    model.restructure(kgp.Structure(units, model.structure.gates))
    fit(model, epochs=1, growth_epochs=100)
    x = np.random.default_rng(1).normal(size=(64, 6, 6, 2))
    before = model.predict(x, verbose=0)
    every = np.ones_like(units)
    gates = [True, True]
    model.restructure(kgp.Structure(every if widens else units, gates))
    after = model.predict(x, verbose=0)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
    assert np.ptp(before) > 0.01
    # They are layers like others from now on.
    fit(model, epochs=1, growth_epochs=100)
    assert np.abs(model.predict(x, verbose=0) - after).max() > 1e-3

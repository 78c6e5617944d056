"""What cannot work is refused before anything is touched."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import keras_growprune as kgp
from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import fit
from tests.networks import grow

Conv = kgp.layers.GrowableConv2D
HALF = kgp.Budget(flops=0.5)


def test_a_budget_below_the_smallest_network_says_what_is_reachable():
    # One filter each: 36 * 9 * (2 + 1) + 3 of 36 * 9 * (8 + 24) + 18.
    smallest, full = 975, 10386
    message = rf"can be {smallest / full:.4f} to 1.0\. Received: Budget\(flops"
    with pytest.raises(ValueError, match=message):
        grow(conv_chain((4, 6)), kgp.Budget(flops=0.05))
    with pytest.raises(ValueError, match="can be 975 to 10,386. Received"):
        grow(conv_chain((4, 6)), kgp.Budget(flops=974))
    grow(conv_chain((4, 6)), kgp.Budget(flops=975))


def test_a_budget_above_the_full_network_is_refused():
    message = "more than the full network.*can be 975 to 10,386. Received"
    with pytest.raises(ValueError, match=message):
        grow(conv_chain((4, 6)), kgp.Budget(flops=10387))


@pytest.mark.parametrize("wrong", ["swapped", "same", "other"])
def test_a_skip_over_nothing_is_refused(wrong):
    inputs = keras.Input((6, 6, 2))
    conv = dict(kernel_size=3, padding="same")
    x = kgp.layers.GrowableConv2D(4, **conv)(inputs)
    y = kgp.layers.GrowableConv2D(4, **conv)(x)
    z = kgp.layers.GrowableConv2D(4, **conv)(inputs)
    pairs = {"swapped": [y, x], "same": [y, y], "other": [x, z]}
    x = kgp.layers.GatedSkip(name="skip")(pairs[wrong])
    outputs = keras.layers.Dense(3)(keras.layers.GlobalMaxPooling2D()(x))
    with pytest.raises(ValueError, match="`skip` must be called on.*Received"):
        grow((inputs, outputs))


@pytest.mark.parametrize("value", [0.0, -0.5, 1.5, 0, -3, True, "half"])
def test_a_budget_that_is_no_fraction_and_no_count_is_refused(value):
    with pytest.raises(ValueError, match="must be a float in"):
        kgp.Budget(flops=value)


def test_a_budget_needs_exactly_one_measure():
    for arguments in ({}, {"flops": 0.5, "params": 0.5}):
        with pytest.raises(ValueError, match="exactly one of"):
            kgp.Budget(**arguments)


@pytest.mark.parametrize("width", [0, -4, 2.5, True])
def test_widths_must_be_positive_integers(width):
    with pytest.raises(ValueError, match="invalid value for `filters`"):
        Conv(width, 3)
    with pytest.raises(ValueError, match="invalid value for `units`"):
        kgp.layers.GrowableDense(width)


def test_a_seed_larger_than_the_full_width_is_refused():
    with pytest.raises(ValueError, match="`seed_filters`.*seed_filters=5"):
        Conv(4, 3, seed_filters=5)


def test_a_network_without_growable_layers_is_refused():
    inputs = keras.Input((4,))
    with pytest.raises(
        ValueError, match="no growable layer.*none.*kgp.growable"
    ):
        grow((inputs, layers.Dense(3)(inputs)))


def test_a_growable_output_layer_is_refused_by_name():
    inputs = keras.Input((4,))
    x = kgp.layers.GrowableDense(8)(inputs)
    outputs = kgp.layers.GrowableDense(3, name="logits")(x)
    with pytest.raises(ValueError, match="`logits` is the width of an output"):
        grow((inputs, outputs))


def test_layers_that_cannot_change_are_listed_with_their_reasons():
    inputs = keras.Input((6, 6, 2))
    x = Conv(4, 3, name="stem")(inputs)
    x = layers.Flatten()(layers.Lambda(lambda x: x, name="odd")(x))
    with pytest.raises(ValueError, match="`stem`: unknown layer `odd"):
        grow((inputs, layers.Dense(3)(x)))


def test_an_unknown_rule_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="one of 'saliency', 'paper'"):
        grow(conv_chain(), rule="magnitude")


def test_a_width_multiple_larger_than_a_layer_is_refused_by_name():
    inputs = keras.Input((4,))
    x = kgp.layers.GrowableDense(8)(inputs)
    x = kgp.layers.GrowableDense(6, name="small")(x)
    with pytest.raises(ValueError, match="`small` has a full width of 6"):
        grow((inputs, layers.Dense(3)(x)), width_multiple=8)


@pytest.mark.parametrize("multiple", [0, -1, 1.5, True, None])
def test_a_width_multiple_must_be_a_positive_integer(multiple):
    with pytest.raises(ValueError, match="`width_multiple` must be a positive"):
        grow(conv_chain(), width_multiple=multiple)


def test_a_seed_width_must_fit_the_width_multiple():
    with pytest.raises(ValueError, match="multiple of `width_multiple`.*: 3"):
        grow(conv_chain((8,), seed_filters=3), width_multiple=2)


def test_an_unbuilt_sequential_is_refused_with_the_way_out():
    model = keras.Sequential([layers.Dense(3)])
    with pytest.raises(ValueError, match="not built.*add a `keras.Input`"):
        kgp.GrowPruneModel(model, model, HALF)


def test_a_model_in_place_of_tensors_is_refused():
    model = keras.Model(*conv_chain())
    with pytest.raises(ValueError, match="Pass `model.inputs`"):
        kgp.GrowPruneModel(model, None, HALF)


@pytest.mark.parametrize("budget", [0.5, None, {"flops": 0.5}])
def test_a_budget_must_be_a_budget(budget):
    with pytest.raises(ValueError, match="`budget` must be a `Budget`"):
        kgp.GrowPruneModel(*conv_chain(), budget=budget)


def test_a_schedule_must_be_a_schedule():
    with pytest.raises(ValueError, match="`schedule` must be a"):
        grow(conv_chain(), schedule="cosine")


def test_moments_out_of_order_are_refused():
    with pytest.raises(ValueError, match="must be in order.*settle_at=0.3"):
        kgp.GrowthSchedule(peak_at=0.5, settle_at=0.3)


@pytest.mark.parametrize("name", ["seed_fraction", "peak", "settle_at"])
def test_fractions_out_of_their_range_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be a number in"):
        kgp.GrowthSchedule(**{name: 1.2})


@pytest.mark.parametrize("epochs", [0, -2, 2.5, True])
def test_growth_epochs_must_be_a_positive_integer(epochs):
    model = compile_model(grow(dense()))
    before = [v.numpy() for v in model.variables]
    with pytest.raises(ValueError, match="`growth_epochs` must be a positive"):
        fit(model, epochs=1, growth_epochs=epochs)
    assert_same_bits(before, model.variables)
    assert model.ledger.epochs == []


def test_growth_epochs_may_be_an_integer_of_numpy():
    model = compile_model(grow(dense()))
    fit(model, epochs=1, growth_epochs=np.int64(4))
    assert model.schedule.restructures(1, model._growth.state.periods)


def test_a_run_that_settles_before_it_measured_anything_says_so():
    model = compile_model(grow(dense()))
    with pytest.warns(UserWarning, match="settled before the first step"):
        fit(model, epochs=1)
    assert model.settled


@pytest.mark.parametrize("run", ["longer", "whole", "within", "asked for"])
def test_a_run_that_measures_something_is_silent(run):
    schedule = {
        "within": kgp.GrowthSchedule(restructure_every=0.5),
        "asked for": kgp.GrowthSchedule(peak_at=0.0, settle_at=0.0),
    }.get(run)
    model = compile_model(grow(dense(), schedule=schedule))
    more = {"growth_epochs": 3} if run == "whole" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit(model, epochs=3 if run == "longer" else 1, **more)


def test_fit_before_compile_is_refused_as_keras_does():
    model = grow(dense())
    with pytest.raises(ValueError, match="compile"):
        fit(model, epochs=1)


def test_flops_of_inputs_without_a_size_are_refused():
    inputs = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(Conv(4, 3)(inputs))
    with pytest.raises(ValueError, match="inputs of a fixed size"):
        grow((inputs, layers.Dense(3)(x)))


def test_a_structure_gate_of_the_users_own_is_refused():
    inputs = keras.Input((4,))
    x = kgp.layers.StructureGate(name="mine")(
        kgp.layers.GrowableDense(8)(inputs)
    )
    with pytest.raises(ValueError, match="layer `mine` of type"):
        grow((inputs, layers.Dense(3)(x)))


def test_recalibrate_wants_arrays_or_a_data_set():
    with pytest.raises(ValueError, match="Received: x of type list"):
        grow(conv_chain()).recalibrate([1, 2])


@pytest.mark.parametrize(
    "budget, hint",
    [
        ({"flops": 50}, r"50 is a count of FLOPs; half .* is 0\.5"),
        ({"params": 9}, r"9 is a count of parameters; half .* is 0\.5"),
        ({"flops": 1}, r"1 is a single one of the FLOPs; all of them are 1\.0"),
        ({"flops": 101}, r"Received: Budget\(flops=101\)$"),
    ],
)
def test_a_count_that_looks_like_a_fraction_is_explained(budget, hint):
    with pytest.raises(ValueError, match=f"cannot be met.*{hint}"):
        grow(conv_chain((4, 6)), kgp.Budget(**budget))


def test_a_plain_model_is_told_of_growable():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(3)(layers.Dense(5)(inputs)))
    with pytest.raises(ValueError, match="model.inputs.*kgp.growable"):
        kgp.GrowPruneModel(model, None, kgp.Budget(flops=0.5))


def test_refused_networks_leave_their_layers_untouched():
    inputs, outputs = conv_chain((4, 6))
    plain = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 2))
    before = plain(x)
    with pytest.raises(ValueError, match="cannot be met"):
        grow((inputs, outputs), kgp.Budget(flops=0.01))
    np.testing.assert_array_equal(plain(x), before)
    assert plain.layers[1].filters == 4

"""What is saved comes back, and training goes on as if nothing had been."""

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from keras_growprune.training import checkpoint
from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import depthwise
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import mark_as_lived
from tests.networks import residual
from tests.networks import with_units

SCHEDULE = kgp.GrowthSchedule(0.3, 0.9, 0.3, 0.7)


def kept(model):
    """All that growing remembers, but for the seconds that it took."""
    arrays = checkpoint.to_arrays(model._growth)
    del arrays["ledger"]
    return arrays


def assert_same_models(one, other):
    assert one.structure == other.structure
    assert_same_bits(one.weights, other.weights)
    assert_same_bits(one.optimizer.variables, other.optimizer.variables)
    first, second = kept(one), kept(other)
    assert set(first) == set(second)
    for key, value in first.items():
        np.testing.assert_array_equal(second[key], value, err_msg=key)


def reloaded(model, path):
    model.save(path / "model.keras")
    return keras.models.load_model(path / "model.keras")


@pytest.mark.parametrize(
    "network,rule",
    [
        (residual, "saliency"),
        pytest.param(depthwise, "saliency", marks=pytest.mark.slow),
        (dense, "paper"),
    ],
)
def test_a_continued_run_is_bitwise_the_uninterrupted_one(
    network, rule, tmp_path
):
    model = grow(network(), schedule=SCHEDULE, rule=rule)
    compile_model(model, keras.optimizers.Adam(0.01))
    fit(model, epochs=2, growth_epochs=4)
    again = reloaded(model, tmp_path)
    assert type(again) is kgp.GrowPruneModel
    assert_same_models(model, again)
    assert again.ledger.epochs == model.ledger.epochs
    one = fit(model, epochs=4, initial_epoch=2, growth_epochs=4)
    other = fit(again, epochs=4, initial_epoch=2, growth_epochs=4)
    assert one == other
    assert one["settled"][-1] == 1 and len(again.ledger.epochs) == 4
    assert_same_models(model, again)


def test_budget_schedule_rule_and_position_are_those_that_were_saved(tmp_path):
    rule = kgp.growth.PaperRule(lambda_base=3.0, final_temperature=50.0)
    model = grow(
        residual(8),
        kgp.Budget(params=500),
        schedule=kgp.GrowthSchedule(0.4, 0.7, 0.3, 0.6, restructure_every=2),
        rule=rule,
        width_multiple=2,
        seed=77,
        name="mine",
    )
    compile_model(model, "adam")
    fit(model, epochs=3, growth_epochs=10)
    again = reloaded(model, tmp_path)
    assert again.name == "mine"
    assert again.budget.get_config() == {"params": 500}
    assert again.schedule.get_config() == model.schedule.get_config()
    assert again._growth.blueprint.rule.get_config() == rule.get_config()
    saved, config = again.get_config(), model.get_config()
    for key in ("budget", "schedule", "rule", "width_multiple", "seed"):
        assert saved[key] == config[key]
    state = again._growth.state
    assert (state.period, state.periods, state.settled) == (3, 10, False)
    np.testing.assert_array_equal(state.logits, model._growth.state.logits)
    assert again._growth.blueprint.space.multiples.tolist() == [2, 2]


def test_dormant_units_resume_after_loading(tmp_path):
    model = compile_model(grow(conv_chain((4, 4))), "adam")
    model.restructure(with_units(model, [0, 1, 2], [1, 3]))
    x, y = examples(model, 16)
    model.train_on_batch(x, y)
    home = model.structure
    model.restructure(home)
    lived = [v.numpy() for v in [*model.weights, *model.optimizer.variables]]
    model.restructure(with_units(model, [2], [0]))
    again = reloaded(model, tmp_path)
    again.restructure(home)
    assert_same_bits(lived, [*again.weights, *again.optimizer.variables])


def test_a_branch_that_is_off_comes_back_after_loading(tmp_path):
    model = compile_model(grow(residual(4)), "adam")
    mark_as_lived(model)
    x, y = examples(model, 16)
    model.train_on_batch(x, y)
    on, expected = model.structure, np.array(model(x))
    model.restructure(with_units(model, [0, 1], [0], gates=[False]))
    again = reloaded(model, tmp_path)
    assert again.structure.gates.tolist() == [False]
    np.testing.assert_array_equal(again(x), model(x))
    again.restructure(on)
    np.testing.assert_array_equal(again(x), expected)


def test_a_settled_network_stays_settled(tmp_path):
    model = compile_model(grow(residual(4)), "adam")
    fit(model, epochs=2)
    again = reloaded(model, tmp_path)
    assert again.settled and again.structure == model.structure
    assert fit(again, epochs=1) == fit(model, epochs=1)
    assert_same_models(model, again)


def test_settings_of_compile_are_those_that_were_saved(tmp_path):
    model = grow(residual(4), rule="paper")
    model.compile(
        keras.optimizers.AdamW(0.02, weight_decay=0.3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        gate_optimizer=keras.optimizers.SGD(0.5, momentum=0.9),
    )
    fit(model, epochs=1, growth_epochs=4)
    again = reloaded(model, tmp_path)
    assert type(again.optimizer) is keras.optimizers.AdamW
    assert again.optimizer.weight_decay == 0.3
    assert float(again.gate_optimizer.learning_rate.numpy()) == 0.5
    assert len(again.gate_optimizer.variables) == 4
    assert_same_bits(
        model.gate_optimizer.variables, again.gate_optimizer.variables
    )
    run = {"epochs": 2, "growth_epochs": 4}
    assert fit(again, **run) == fit(model, **run)


def test_without_compile_it_loads_too(tmp_path):
    model = grow(residual(4))
    x, _ = examples(model)
    again = reloaded(model, tmp_path)
    np.testing.assert_array_equal(again(x), model(x))
    compile_model(model)
    fit(model, epochs=2)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert not again.compiled
    np.testing.assert_array_equal(again(x), model(x))
    np.testing.assert_array_equal(again.compact()(x), model.compact()(x))


def test_weights_alone_bring_their_structure_along(tmp_path):
    path = tmp_path / "some.weights.h5"
    model, other = (grow(residual(4), seed=seed) for seed in (0, 1))
    for each in (model, other):
        compile_model(each, "adam")
        fit(each, epochs=1, growth_epochs=5)
    fit(model, epochs=2, growth_epochs=5)
    model.save_weights(path)
    assert other.structure != model.structure
    other.load_weights(path)
    assert_same_models(model, other)
    run = {"epochs": 2, "growth_epochs": 5}
    assert fit(model, **run) == fit(other, **run)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "some.weights.h5"
    grow(conv_chain((4, 4))).save_weights(path)
    other = grow(conv_chain((4, 5)))
    before = [v.numpy() for v in other.variables]
    with pytest.raises(ValueError, match="9 units.*Received: 8"):
        other.load_weights(path)
    assert_same_bits(before, other.variables)


def test_a_copy_has_the_settings_and_starts_from_its_own_seed_network():
    model = grow(dense((8, 6)), kgp.Budget(params=0.6), seed=5)
    seed = model.widths
    compile_model(model)
    fit(model, epochs=2)
    copy = kgp.GrowPruneModel.from_config(model.get_config())
    assert copy.budget.get_config() == {"params": 0.6}
    assert copy.get_config()["seed"] == 5
    assert not copy.settled and copy.widths == seed
    shared = {id(v) for v in copy.variables} & {id(v) for v in model.variables}
    assert not shared
    compile_model(copy)
    assert fit(copy, epochs=2)["cost"][-1] <= 0.6


def test_a_clone_is_the_plain_full_network_as_keras_defines_it():
    model = compile_model(grow(residual(4)))
    fit(model, epochs=2)
    model.restructure(with_units(model, [0], [0], gates=[False]))
    clone = compile_model(keras.models.clone_model(model))
    full = 18 * 4 + 9 * 16 * 2 + 3 * 4 * 4 + 15
    assert clone.count_params() == full
    assert len(fit(clone, epochs=1)["loss"]) == 1


@keras.saving.register_keras_serializable(package="tests")
class Halving(kgp.growth.Rule):
    """A rule of the user's own: every second unit stays."""

    name = "halving"

    def __init__(self, keep=2):
        self.keep = keep

    def get_config(self):
        return {"keep": self.keep}

    def decide(self, state, space, target):
        return state.units, state.gates

    def land(self, state, space, limit):
        return np.arange(space.unit_count) % self.keep == 0, state.gates


def test_a_rule_of_the_users_own_is_saved_with_its_settings(tmp_path):
    model = compile_model(grow(dense((6, 6)), rule=Halving(keep=3)))
    again = reloaded(model, tmp_path)
    assert again.rule == "halving"
    fit(again, epochs=1)
    assert list(again.widths.values()) == [2, 2]


def test_a_restructuring_after_loading_a_diverged_run_is_refused(tmp_path):
    model = compile_model(grow(conv_chain((4, 4))), keras.optimizers.SGD(1e30))
    fit(model, epochs=1, growth_epochs=9)
    loaded = reloaded(model, tmp_path)
    with pytest.raises(FloatingPointError, match="loss was not finite"):
        fit(loaded, epochs=1, growth_epochs=9)
    assert loaded.structure == model.structure

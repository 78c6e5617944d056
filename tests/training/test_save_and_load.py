"""What is saved comes back, and training goes on as if nothing had been."""

import copy
import pickle

import keras
import numpy as np
import pytest
from keras import layers

import keras_growprune as kgp
from keras_growprune import keras_internals
from keras_growprune.training.saving import checkpoint
from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import depthwise
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import mark_as_lived
from tests.networks import plain_chain
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


def dropout():
    """A dense block with dropout, whose branch may vanish."""
    inputs = keras.Input((5,))
    x = kgp.layers.GrowableDense(8)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    y = layers.Dropout(0.3)(kgp.layers.GrowableDense(6)(x))
    x = kgp.layers.GatedAdd()([x, kgp.layers.GrowableDense(8)(y)])
    return inputs, layers.Dense(3)(layers.GaussianDropout(0.1)(x))


def by_checkpoint(model, path):
    checkpoint = keras.callbacks.ModelCheckpoint(str(path / "{epoch}.keras"))
    checkpoint.set_model(model)
    checkpoint.on_epoch_begin(1)
    checkpoint.on_epoch_end(1, {})
    return keras.models.load_model(path / "2.keras")


def by_weights(model, path):
    model.save_weights(path / "some.weights.h5")
    return with_weights(model, path / "some.weights.h5")


def by_weight_checkpoint(model, path):
    name = str(path / "{epoch}.weights.h5")
    checkpoint = keras.callbacks.ModelCheckpoint(name, save_weights_only=True)
    checkpoint.set_model(model)
    checkpoint.on_epoch_begin(1)
    checkpoint.on_epoch_end(1, {})
    return with_weights(model, path / "2.weights.h5")


def with_weights(model, path):
    """A model of the same command, in the structure that it begins with."""
    again = kgp.GrowPruneModel.from_config(model.get_config())
    again.compile_from_config(model.get_compile_config())
    again.load_weights(path)
    return again


def by_pickle(model, path):
    return pickle.loads(pickle.dumps(model))


def by_deepcopy(model, path):
    return copy.deepcopy(model)


@pytest.mark.parametrize(
    "way",
    [
        reloaded,
        pytest.param(by_checkpoint, marks=pytest.mark.slow),
        by_weights,
        pytest.param(by_weight_checkpoint, marks=pytest.mark.slow),
        by_pickle,
        pytest.param(by_deepcopy, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "ema", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_in_the_middle_of_growth_every_way_brings_all_back(way, ema, tmp_path):
    model = grow(dropout(), schedule=SCHEDULE)
    callbacks = [keras.callbacks.SwapEMAWeights()] if ema else []
    optimizer = keras.optimizers.Adam(0.01, use_ema=ema)
    compile_model(model, optimizer)
    run = {"growth_epochs": 5, "shuffle": True}
    fit(model, epochs=2, callbacks=callbacks, **run)
    again = way(model, tmp_path)
    x, _ = examples(model)
    np.testing.assert_array_equal(again(x), model(x))
    assert_same_models(model, again)
    run = {**run, "initial_epoch": 2, "epochs": 5}
    callbacks = [keras.callbacks.SwapEMAWeights()] if ema else []
    histories = []
    for each in (model, again):
        keras.utils.set_random_seed(5)  # in which order arrays are shuffled
        callbacks = [keras.callbacks.SwapEMAWeights()] if ema else []
        histories.append(fit(each, callbacks=callbacks, **run))
    assert histories[0] == histories[1] and again.settled
    assert_same_models(model, again)


def test_layers_that_come_first_after_loading_start_as_they_would(tmp_path):
    # What goes into them was measured on examples that no file has.
    schedule = kgp.GrowthSchedule(0.2, 1.0, 0.6, 0.8, seed_shape="shallow")
    budget = kgp.Budget(flops=0.9)
    model = grow(plain_chain(4, 5), budget, schedule=schedule)
    compile_model(model, keras.optimizers.Adam(0.01))
    fit(model, epochs=1, growth_epochs=8)
    assert not model.structure.gates.any()
    model.save(tmp_path / "model.keras")
    losses = []
    again = keras.models.load_model(tmp_path / "model.keras")
    for each in (model, again):
        run = {"initial_epoch": 1, "epochs": 3, "growth_epochs": 8}
        losses.append(fit(each, **run)["loss"])
    assert model.structure.gates.any() and losses[0] == losses[1]
    assert_same_bits(model.weights, again.weights)


def test_averaged_weights_are_validated_in_the_middle_of_growth():
    model = grow(dropout(), schedule=SCHEDULE)
    compile_model(model, keras.optimizers.Adam(0.01, use_ema=True))
    x, y = examples(model)
    seen = []

    class Averages(keras.callbacks.Callback):
        def on_test_end(self, logs=None):  # before the weights are back
            pairs = zip(
                model.optimizer_variables(),
                keras_internals.optimizer_slots(model.optimizer)[
                    "_model_variables_moving_average"
                ],
            )
            seen.append([(v.numpy(), a.numpy()) for v, a in pairs])

    swap = keras.callbacks.SwapEMAWeights()
    losses = fit(
        model,
        epochs=4,
        validation_data=(x, y),
        callbacks=[Averages(), swap],
    )["val_loss"]
    assert len(seen) == 4 and len(set(losses)) == 4
    fractions = {v.shape[-1] for epoch in seen for v, _ in epoch}
    assert len(fractions) > 2  # the structure changed


@pytest.mark.slow
def test_keras_own_backup_restores_an_epoch(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def command(*callbacks):
        keras.utils.set_random_seed(0)
        model = compile_model(grow(residual(), schedule=SCHEDULE), "adam")
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
        return model, fit(model, epochs=4, callbacks=[backup, *callbacks])

    one, whole = command()
    with pytest.raises(KeyboardInterrupt):
        command(Stop())
    other, rest = command()
    assert rest["loss"] == whole["loss"][2:]
    assert_same_models(one, other)


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


@pytest.mark.slow
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


@pytest.mark.slow
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
    with pytest.warns(UserWarning, match="full width, which does not grow"):
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

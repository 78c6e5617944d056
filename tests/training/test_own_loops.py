"""Growing in training loops of a user's own: as `fit` does."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_growprune as kgp
from tests.loops import EPOCHS
from tests.loops import HOW
from tests.loops import batches
from tests.loops import train_in_fit
from tests.loops import train_in_loop
from tests.loops import training_step
from tests.loops import two_alike
from tests.networks import compile_model
from tests.networks import dense
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import head
from tests.networks import plain_chain
from tests.networks import residual


def norms_without_gamma():
    """No weight scales the outputs: worth needs explicit factors."""
    inputs = x = keras.Input((6, 6, 2))
    for filters in (4, 5):
        x = kgp.layers.GrowableConv2D(filters, 3, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(scale=False)(x))
    return inputs, head(x)


def recurrent():
    inputs = keras.Input((5, 3))
    x = kgp.layers.GatedLSTM(6, return_sequences=True)(inputs)
    x = kgp.layers.GatedLSTM(5)(layers.LayerNormalization()(x))
    return inputs, layers.Dense(3)(x)


def embedded():
    inputs = keras.Input((5,), dtype="int32")
    x = kgp.layers.GrowableEmbedding(7, 6)(inputs)
    x = layers.GlobalAveragePooling1D()(x)
    x = kgp.layers.GrowableDense(6, activation="relu")(x)
    return inputs, layers.Dense(3)(x)


def penalized():
    inputs = keras.Input((5,))
    x = kgp.layers.GrowableDense(
        8, kernel_regularizer=keras.regularizers.L2(0.3), activation="relu"
    )(inputs)
    return inputs, layers.Dense(3)(x)


def rarely(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "network,how",
    [
        rarely(lambda: dense(norm="batch"), "eager"),
        (lambda: dense(norm="batch"), "tf.function"),
        (lambda: residual(6), "traced"),
        rarely(norms_without_gamma, "eager"),
        rarely(norms_without_gamma, "tf.function"),
        (recurrent, "eager"),
        rarely(embedded, "tf.function"),
        rarely(penalized, "eager"),
    ],
)
def test_an_own_loop_decides_and_trains_as_fit_does(network, how):
    mine, theirs = two_alike(network)
    expected = train_in_fit(theirs, keras.optimizers.Adam(0.01))
    found = train_in_loop(mine, keras.optimizers.Adam(0.01), how)
    assert expected.changes() > 1 and theirs.settled
    assert any(log["price"] for log in expected.logs)
    found.assert_same(expected)
    for one, other in zip(mine.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert mine.ledger.total("examples") == theirs.ledger.total("examples")


class OwnStep(kgp.GrowPruneModel):
    """As Keras's guide customizes what happens in `fit`."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, variables)
        self.optimizer.apply_gradients(zip(gradients, variables))
        return {"loss": loss}


@pytest.mark.slow
def test_a_train_step_of_a_users_own_decides_as_fit_does():
    keras.utils.set_random_seed(1)
    theirs = grow(plain_chain(5))
    expected = train_in_fit(theirs, keras.optimizers.Adam(0.01))
    keras.utils.set_random_seed(1)
    mine = OwnStep(*plain_chain(5), kgp.Budget(flops=0.5), seed=0)
    found = train_in_fit(mine, keras.optimizers.Adam(0.01))
    assert found.structures == expected.structures
    for one, other in zip(mine.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_loop_of_train_on_batch_decides_as_fit_does():
    mine, theirs = two_alike(lambda: dense(norm="batch"))
    expected = train_in_fit(theirs, keras.optimizers.Adam(0.01))
    compile_model(mine, keras.optimizers.Adam(0.01))
    for structure in expected.structures:
        mine.begin_epoch(EPOCHS)
        assert mine.structure == structure
        for x, y in batches(mine):
            mine.train_on_batch(x, y)
        mine.end_epoch()
    for one, other in zip(mine.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert mine.ledger.total("examples") == theirs.ledger.total("examples")


@pytest.mark.slow
@pytest.mark.filterwarnings("error:Gradients do not exist")
@pytest.mark.parametrize("how", ["eager", "traced", "traced tf.function"])
def test_a_block_that_leaves_leaves_an_own_loop_too(how):
    budget = kgp.Budget(flops=0.03)
    mine, theirs = two_alike(lambda: residual(6), budget=budget)
    expected = train_in_fit(theirs, keras.optimizers.SGD(0.01, momentum=0.9))
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    train_in_loop(mine, optimizer, how).assert_same(expected)
    assert not mine.structure.gates.any()


def test_a_traced_function_takes_part_in_epochs_that_begin_later():
    model = grow(dense())
    optimizer = keras.optimizers.SGD(0.01)
    optimizer.build(model.trainable_variables)
    step = model.traced(training_step(model, optimizer))
    for x, y in batches(model):
        step(x, y)
    for _ in range(EPOCHS):
        model.begin_epoch(EPOCHS, optimizer)
        for x, y in batches(model):
            step(x, y)
        model.end_epoch()
    assert model.settled
    assert model.ledger.total("examples") == EPOCHS * 32


def test_a_plain_function_over_a_block_that_left_names_the_fix():
    model = grow(residual(6), kgp.Budget(flops=0.03))
    with pytest.raises(tf.errors.InvalidArgumentError, match="model.traced"):
        train_in_loop(model, keras.optimizers.SGD(0.01), "tf.function")


@pytest.mark.slow
def test_trained_gates_get_their_penalty_in_an_own_loop():
    mine, theirs = two_alike(lambda: dense(norm="batch"), rule="paper")
    expected = train_in_fit(theirs, keras.optimizers.Adam(0.05))
    optimizer = keras.optimizers.Adam(0.05)
    train_in_loop(mine, optimizer, "traced").assert_same(expected)
    assert mine.settled and expected.changes() > 1


def test_gates_that_are_hard_by_now_fail_in_a_plain_function():
    model = grow(dense(norm="batch"), rule="paper")
    with pytest.raises(tf.errors.InvalidArgumentError, match="model.traced"):
        train_in_loop(model, keras.optimizers.SGD(0.01), "tf.function")
    assert model.settled


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
        lambda: keras.optimizers.SGD(0.05, loss_scale_factor=64.0),
        lambda: (
            keras.optimizers.Muon(0.01)
            if hasattr(keras.optimizers, "Muon")
            else pytest.skip("Keras has no Muon")
        ),
    ],
    ids=["accumulated", "scaled", "known widths"],
)
def test_optimizers_of_all_kinds_in_an_own_loop(make):
    mine, theirs = two_alike(lambda: dense(norm="batch"))
    expected = train_in_fit(theirs, make())
    assert expected.changes() > 1
    train_in_loop(mine, make(), "traced").assert_same(expected)


def test_mixed_precision_with_a_scaled_loss():
    keras.config.set_dtype_policy("mixed_float16")
    mine, theirs = two_alike(lambda: dense(norm="batch"))

    def make():
        inner = keras.optimizers.SGD(0.05)
        return keras.optimizers.LossScaleOptimizer(inner, initial_scale=512.0)

    expected = train_in_fit(theirs, make())
    assert expected.changes() > 1
    found = train_in_loop(mine, make(), "traced")
    assert found.structures == expected.structures
    np.testing.assert_allclose(found.losses, expected.losses, atol=1e-3)
    prices = [[log["price"] for log in r.logs] for r in (found, expected)]
    np.testing.assert_allclose(*prices, rtol=0.05)


def test_penalties_that_are_not_in_the_loss_are_not_taken_out_of_it():
    """The worth of a unit is what the loss says, not what its weights cost."""

    def without_regularizers():
        inputs = keras.Input((5,))
        x = kgp.layers.GrowableDense(8, activation="relu")(inputs)
        return inputs, layers.Dense(3)(x)

    records = []
    for network in (penalized, without_regularizers):
        keras.utils.set_random_seed(1)
        optimizer = keras.optimizers.SGD(0.01)
        records.append(
            train_in_loop(
                grow(network()), optimizer, "traced", with_penalties=False
            )
        )
    records[0].assert_same(records[1])


def test_steps_that_are_announced_change_the_structure_within_epochs():
    schedule = kgp.GrowthSchedule(0.3, 0.9, restructure_every=0.5)
    mine, theirs = two_alike(dense, schedule=schedule)
    compile_model(theirs, "sgd")
    seen = {"fit": [], "loop": []}

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen["fit"].append(theirs.structure)

    fit(theirs, epochs=3, count=64, callbacks=[Look()])
    optimizer = keras.optimizers.SGD(0.01)
    step = mine.traced(training_step(mine, optimizer))
    x, y = examples(mine, 64)
    for _ in range(3):
        mine.begin_epoch(3, optimizer, steps=4)
        for index in range(4):
            mine.begin_step(index)
            rows = slice(16 * index, 16 * index + 16)
            step(tf.constant(x[rows]), tf.constant(y[rows]))
            seen["loop"].append(mine.structure)
        mine.end_epoch()
    assert seen["loop"] == seen["fit"]
    assert seen["fit"][1] != seen["fit"][2]


def test_the_optimizer_is_left_as_it_was():
    model = grow(dense())
    optimizer = keras.optimizers.SGD(0.01)
    before = optimizer.apply
    train_in_loop(model, optimizer)
    assert optimizer.apply == before
    penalty = grow(penalized())
    given = [v.regularizer for v in penalty.trainable_variables]
    train_in_loop(penalty, keras.optimizers.SGD(0.01))
    assert [v.regularizer for v in penalty.trainable_variables] == given


# Two networks


@pytest.mark.sampled(2)
@pytest.mark.parametrize("how", ["eager", "traced"])
def test_a_generator_grows_against_a_plain_discriminator(how):
    def train(separate_tapes):
        keras.utils.set_random_seed(2)
        generator = grow(dense((8, 6), features=4, norm="batch"))
        inputs = keras.Input((3,))
        x = layers.Dense(8, activation="relu")(inputs)
        discriminator = keras.Model(inputs, layers.Dense(1)(x))
        adversary = keras.optimizers.Adam(0.01)
        optimizer = keras.optimizers.Adam(0.01)
        bce = keras.losses.BinaryCrossentropy(from_logits=True)

        def step(noise, real):
            with tf.GradientTape() as tape:
                fake = generator(noise, training=True)
                if separate_tapes:
                    fake = tf.stop_gradient(fake)
                right = discriminator(real)
                wrong = discriminator(fake)
                loss = bce(tf.ones_like(right), right)
                loss += bce(tf.zeros_like(wrong), wrong)
            variables = discriminator.trainable_variables
            adversary.apply(tape.gradient(loss, variables), variables)
            with tf.GradientTape() as tape:
                wrong = discriminator(generator(noise, training=True))
                loss = bce(tf.ones_like(wrong), wrong)
            variables = generator.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
            return loss

        step = HOW[how](generator, step)
        random = np.random.default_rng(0)
        logs = []
        for _ in range(EPOCHS):
            generator.begin_epoch(EPOCHS, optimizer)
            for _ in range(3):
                noise = random.normal(size=(16, 4)).astype("float32")
                real = random.normal(size=(16, 3)).astype("float32") + 2
                step(tf.constant(noise), tf.constant(real))
            logs.append(generator.end_epoch())
        return generator, discriminator, logs

    generator, discriminator, logs = train(separate_tapes=True)
    assert generator.settled and logs[0]["cost"] < logs[-1]["cost"] <= 0.5
    assert any(log["price"] for log in logs)
    assert generator.ledger.total("examples") == EPOCHS * 3 * 16
    noise = np.random.default_rng(3).normal(size=(8, 4)).astype("float32")
    np.testing.assert_allclose(
        generator.compact()(noise), generator(noise), atol=1e-5
    )
    assert discriminator.count_params() == 4 * 8 + 9
    # The discriminator's gradients, taken through the generator, do not count.
    again, _, other_logs = train(separate_tapes=False)
    assert again.structure == generator.structure
    for one, other in zip(logs, other_logs):
        assert one["price"] == pytest.approx(other["price"], rel=1e-3)


# From files, and broken off


def test_an_own_loop_goes_on_from_a_file(tmp_path):
    whole, begun = two_alike(lambda: dense(norm="batch"))
    for model in (whole, begun):
        compile_model(model, keras.optimizers.Adam(0.01))
    expected = train_in_loop(whole, whole.optimizer)
    first = train_in_loop(begun, begun.optimizer, last=2)
    begun.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert not loaded.settled
    rest = train_in_loop(loaded, loaded.optimizer, first=2)
    first.structures += rest.structures
    first.losses += rest.losses
    first.logs += rest.logs
    first.assert_same(expected)


@pytest.mark.slow
def test_fit_and_an_own_loop_take_turns():
    mine, theirs = two_alike(lambda: dense(norm="batch"))
    expected = train_in_fit(theirs, keras.optimizers.Adam(0.01))
    compile_model(mine, keras.optimizers.Adam(0.01))
    fit(mine, epochs=2, growth_epochs=EPOCHS)
    found = train_in_loop(mine, mine.optimizer, "traced", first=2, last=4)
    fit(mine, epochs=2, growth_epochs=EPOCHS)
    assert found.structures == expected.structures[2:4]
    np.testing.assert_allclose(found.losses, expected.losses[2:4], atol=1e-5)
    assert mine.structure == theirs.structure
    for one, other in zip(mine.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_an_epoch_that_was_broken_off_is_begun_anew():
    model = grow(dense(norm="batch"))
    optimizer = keras.optimizers.Adam(0.01)
    train_in_loop(model, optimizer, last=1)
    model.begin_epoch(EPOCHS, optimizer)
    x, y = batches(model)[0]
    step = training_step(model, optimizer)
    step(x, y)  # and Ctrl-C
    train_in_loop(model, optimizer, first=1)
    assert model.settled
    assert [record["epoch"] for record in model.ledger.epochs] == [*range(6)]

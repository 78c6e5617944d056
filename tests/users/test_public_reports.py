"""What users of Keras and of pruning tools have reported, tried here.

Each test is one complaint that somebody made in public about a network that
was trained, saved, pruned or searched. Its docstring says where, and what its
writer expected; the test expects it of a network that grows and is pruned. All
networks are ordinary ones that `growable` converts, and their widths change
while these things happen.
"""

import gc
import os
import threading
import warnings
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras import ops

import keras_growprune as kgp

# Each trains a network of its own; together they take a minute.
pytestmark = pytest.mark.slow

KERAS = tuple(map(int, keras.__version__.split(".")[:2]))
CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Widths(keras.callbacks.Callback):
    """The widths and gates that each step finds, without repetitions."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        now = (*self.model.widths.values(), *self.model.structure.gates)
        if self.seen[-1:] != [now]:
            self.seen.append(now)


class Each(keras.callbacks.Callback):
    """Calls functions of the model before and after batches and epochs."""

    def __init__(self, batch=None, epoch=None, before=None):
        super().__init__()
        self.batch, self.epoch, self.before = batch, epoch, before

    def on_train_batch_begin(self, batch, logs=None):
        if self.before:
            self.before(self.model)

    def on_train_batch_end(self, batch, logs=None):
        if self.batch:
            self.batch(self.model)

    def on_epoch_end(self, epoch, logs=None):
        if self.epoch:
            self.epoch(self.model)


def grow(network, budget=None, **kwargs):
    kwargs.setdefault("seed", 0)
    return kgp.growable(network, budget or kgp.Budget(params=0.5), **kwargs)


def train(model, x, y=None, callbacks=(), **kwargs):
    """Trains six epochs; the structure must have changed meanwhile."""
    widths = Widths()
    kwargs = {"epochs": 6, "batch_size": 16, "verbose": 0, **kwargs}
    if not isinstance(x, (list, dict, np.ndarray)):
        del kwargs["batch_size"]
    history = model.fit(x, y, callbacks=[widths, *callbacks], **kwargs)
    assert len(widths.seen) >= 3, widths.seen
    return history.history


def convert_and_train(network, x, y, share=0.5, loss="mse", epochs=6, **kwargs):
    """What grew meets its budget and computes what its compact copy does."""
    model = grow(network, kgp.Budget(params=share), **kwargs)
    model.compile("adam", loss)
    train(model, x, y, epochs=epochs)
    assert model.settled
    small = model.compact()
    for ours, theirs in zip(
        keras.tree.flatten(model.predict(x, verbose=0)),
        keras.tree.flatten(small.predict(x, verbose=0)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    assert small.count_params() <= share * network.count_params()
    return model, small


def numbers(*shape, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=shape).astype("float32")


def rows(count=48):
    """Rows of eight numbers of three learnable classes."""
    x = numbers(count, 8)
    return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)


def images(count=32):
    x = numbers(count, 8, 8, 3)
    return x, (x.mean((1, 2, 3)) > 0).astype(int)


def perceptron(units=(16, 12), **kwargs):
    inputs = x = keras.Input((8,))
    for index, count in enumerate(units):
        name = f"hidden_{index}"
        x = layers.Dense(count, activation="relu", name=name, **kwargs)(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x))


def pooled(inputs, x, outputs=2):
    pooling = f"GlobalAveragePooling{len(x.shape) - 2}D"
    x = getattr(layers, pooling)()(x)
    return keras.Model(inputs, layers.Dense(outputs, name="logits")(x))


def convolutions(norm=True, **kwargs):
    inputs = x = keras.Input((8, 8, 3))
    for index in range(2):
        name = f"conv_{index}"
        x = layers.Conv2D(8, 3, padding="same", name=name, **kwargs)(x)
        if norm:
            x = layers.BatchNormalization(name=f"norm_{index}")(x)
        x = layers.ReLU()(x)
    return pooled(inputs, x, 3)


def compiled(network=None, optimizer="adam", loss=CROSSENTROPY, **kwargs):
    model = grow(network or perceptron())
    model.compile(optimizer, loss, **kwargs)
    return model


def arrays(variables):
    return [np.array(variable) for variable in variables]


# Callbacks


def test_averaged_weights_are_validated_and_the_trained_ones_go_on():
    """keras-team/keras#18949: metrics of averaged weights were wanted during
    training, and training to go on from the weights that it had."""
    losses = []
    for swaps in (False, True):
        keras.utils.set_random_seed(0)
        optimizer = keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9)
        model, (x, y) = compiled(optimizer=optimizer), rows()
        swap = [keras.callbacks.SwapEMAWeights()] if swaps else []
        losses.append(train(model, x, y, swap, validation_data=(x, y)))
    np.testing.assert_allclose(losses[0]["loss"], losses[1]["loss"], rtol=1e-5)
    raw, averaged = losses[0]["val_loss"], losses[1]["val_loss"]
    assert all(a > r for a, r in zip(averaged, raw))  # it lags behind
    assert model.evaluate(x, y, verbose=0) == pytest.approx(averaged[-1])


def test_the_rate_is_reduced_once_for_each_plateau():
    """keras-team/keras#10924: after the first plateau the rate sank in every
    second epoch; expected: by the factor after `patience` epochs, not more."""
    model, (x, y) = compiled(optimizer=keras.optimizers.SGD(0.4)), rows()
    plateau = keras.callbacks.ReduceLROnPlateau(
        "loss", factor=0.5, patience=2, min_delta=100, mode="min"
    )
    history = train(model, x, y, [plateau])
    expected = [0.4, 0.4, 0.4, 0.2, 0.2, 0.1]
    np.testing.assert_allclose(history["learning_rate"], expected, rtol=1e-6)


def test_the_best_epoch_comes_back_though_nothing_stopped_the_run():
    """keras-team/keras#12511: with a long patience the last weights stayed;
    expected: those of the best epoch, however the run ended."""
    model, (x, y), seen = compiled(), rows(), []
    look = Each(
        epoch=lambda m: seen.append((m.widths, m.predict(x, verbose=0)))
    )
    best = keras.callbacks.EarlyStopping(
        "val_loss", mode="max", patience=99, restore_best_weights=True
    )
    train(model, x, y, [look, best], validation_data=(x, y))
    widths, answer = seen[best.best_epoch]
    assert best.best_epoch < 5 and widths != seen[-1][0]
    assert model.widths == widths
    np.testing.assert_allclose(model.predict(x, verbose=0), answer, atol=1e-6)


def test_files_named_by_metrics_hold_the_network_of_that_epoch(tmp_path):
    """keras-team/keras#1872: which epoch a checkpoint is of was asked for;
    expected: its name tells, and it evaluates to what the name says."""
    model, (x, y) = compiled(), rows()
    name = "{epoch:02d} {val_loss:.5f} {params:.3f}.keras"
    files = keras.callbacks.ModelCheckpoint(tmp_path / name)
    history = train(model, x, y, [files], validation_data=(x, y))
    written = sorted(os.listdir(tmp_path))
    assert len(written) == 6
    for epoch in (1, 4):
        _, loss, share = written[epoch].removesuffix(".keras").split()
        again = keras.models.load_model(tmp_path / written[epoch])
        assert float(share) == pytest.approx(history["params"][epoch], abs=1e-3)
        value = again.evaluate(x, y, verbose=0)
        assert value == pytest.approx(float(loss), abs=2e-5)


def test_weights_written_within_an_epoch_load_into_the_model_built_anew(
    tmp_path,
):
    """keras-team/keras-tuner#697: the best trial's weights did not load into
    the model that the same function built; expected: they do."""
    model, (x, y) = compiled(), rows()
    files = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}-{batch}.weights.h5",
        save_freq=4,
        save_weights_only=True,
    )
    answers = []
    look = Each(batch=lambda m: answers.append(np.array(m(x))))
    train(model, x, y, [look, files])
    written = sorted(tmp_path.iterdir())
    assert len(written) == 4
    for step, path in zip((3, 11), (written[0], written[2])):
        again = grow(perceptron())
        again.load_weights(path)
        np.testing.assert_allclose(again(x), answers[step], atol=1e-6)


def test_a_run_that_broke_off_goes_on_where_it_was(tmp_path):
    """keras-team/keras#19179: after an exception the run began with epoch 0;
    expected: with the epoch that broke off."""
    x, y = rows()

    def run(*callbacks):
        model = compiled()
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        history = model.fit(
            x, y, epochs=6, verbose=0, callbacks=[backup, *callbacks]
        )
        return model, history.history

    def breaks_off(epoch, logs):
        if epoch == 3:
            raise RuntimeError("interrupted")

    breaking = keras.callbacks.LambdaCallback(on_epoch_begin=breaks_off)
    with pytest.raises(RuntimeError, match="interrupted"):
        run(breaking)
    model, history = run()
    assert len(history["loss"]) == 3 and model.settled
    assert int(model.optimizer.iterations) == 12


def test_a_loss_that_is_no_number_ends_the_run():
    """keras-team/keras#6747: training went on after "terminating training";
    expected: no further epoch."""
    model, (x, y), epochs = compiled(), rows(), []
    x[0] = np.nan
    model.fit(
        x,
        y,
        epochs=6,
        verbose=0,
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            Each(epoch=lambda m: epochs.append(m.widths)),
        ],
    )
    assert len(epochs) == 1


# Optimizers


@pytest.mark.parametrize("by", ["var_list", "var_names"])
def test_what_is_excluded_from_weight_decay_stays_so(by):
    """keras-team/keras#16201: biases were to be left out of weight decay;
    expected: they are never decayed, and the kernels are."""
    optimizer = keras.optimizers.SGD(0.5, weight_decay=0.5)
    model, (x, y) = grow(perceptron(bias_initializer="ones")), rows()
    dense = [layer for layer in model.layers if hasattr(layer, "bias")]
    if by == "var_list":
        biases = [layer.bias for layer in dense]
        optimizer.exclude_from_weight_decay(var_list=biases)
    else:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, CROSSENTROPY)
    train(model, x, y, sample_weight=np.zeros(48))  # only decay acts
    for layer in dense[:-1]:
        np.testing.assert_array_equal(layer.bias, np.ones(layer.units))
    assert np.abs(dense[-1].kernel).max() < 0.05


def test_accumulated_gradients_decay_weights_with_each_update_only():
    """keras-team/keras#19990: decay acted in every step of an accumulation;
    expected: nothing moves until the gradients are applied."""
    optimizer = keras.optimizers.SGD(
        0.1, weight_decay=0.1, gradient_accumulation_steps=4
    )
    model, (x, y) = compiled(optimizer=optimizer), rows()
    kernel, before, moves = model.get_layer("logits").kernel, [], []
    watch = Each(
        before=lambda m: before.append(np.array(kernel)),
        batch=lambda m: moves.append(not np.array_equal(before[-1], kernel)),
    )
    train(model, x, y, [watch], epochs=8)
    assert moves == [False, False, False, True] * 6


@pytest.mark.parametrize("how", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_gradients_are_clipped_at_every_width(how):
    """tensorflow/tensorflow#33929: clipping had no effect; expected: no step
    is larger than it allows."""
    optimizer = keras.optimizers.SGD(1.0, **{how: 1e-3})
    model, (x, y) = compiled(optimizer=optimizer), rows()
    before, steps = [], []

    def measure(model):
        pairs = zip(model.trainable_variables, before[-1])
        moves = [np.array(now) - then for now, then in pairs]
        norms = [np.linalg.norm(move) for move in moves]
        largest = max(np.abs(move).max() for move in moves)
        sizes = {"clipnorm": max(norms), "clipvalue": largest}
        steps.append(sizes.get(how, np.linalg.norm(norms)))

    watch = Each(
        before=lambda m: before.append(arrays(m.trainable_variables)),
        batch=measure,
    )
    train(model, x, y, [watch])
    assert 0 < max(steps) <= 1.01e-3


def test_constraints_hold_after_every_step():
    """keras-team/keras#18883: constraints were not applied; expected: each
    filter keeps its norm below the bound, each bias stays positive."""
    network = convolutions(
        kernel_constraint=keras.constraints.MaxNorm(0.5, axis=[0, 1, 2]),
        bias_constraint="non_neg",
    )
    model, (x, y) = compiled(network, keras.optimizers.SGD(0.5)), images()
    layer, norms, biases = model.get_layer("conv_1"), [], []

    def measure(model):
        squares = np.square(layer.kernel).sum((0, 1, 2))
        norms.append(np.sqrt(squares).max())
        biases.append(np.min(layer.bias))

    train(model, x, y, [Each(batch=measure)])
    assert 0.4 < max(norms) <= 0.5 + 1e-4
    assert min(biases) >= 0


def test_recurrent_constraints_hold_for_each_gate():
    """keras-team/keras#2276: a constraint changed nothing in training;
    expected: the columns of the recurrent kernel have a norm of one."""
    inputs = keras.Input((6, 4))
    unit = keras.constraints.UnitNorm(axis=0)
    x = layers.LSTM(12, recurrent_constraint=unit, name="lstm")(inputs)
    model = compiled(keras.Model(inputs, layers.Dense(2)(x)), loss="mse")
    cell, norms = model.get_layer("lstm").cell, []
    watch = Each(
        batch=lambda m: norms.append(
            np.sqrt(np.square(cell.recurrent_kernel).sum(0))
        )
    )
    train(model, numbers(32, 6, 4), numbers(32, 2), [watch])
    np.testing.assert_allclose(np.concatenate(norms), 1, atol=1e-3)


@keras.saving.register_keras_serializable("users")
class Normalized(keras.optimizers.Optimizer):
    """Momentum, and for each variable one number."""

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.velocities = [
            self.add_variable_from_reference(variable, "velocity")
            for variable in variables
        ]
        self.scales = [
            self.add_variable(shape=(), name="scale", initializer="zeros")
            for _ in variables
        ]

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        velocity, scale = self.velocities[index], self.scales[index]
        self.assign(scale, 0.9 * scale + 0.1 * ops.norm(gradient))
        self.assign(velocity, 0.9 * velocity + gradient)
        step = learning_rate * velocity / (scale + 0.1)
        self.assign_sub(variable, step)


def test_an_optimizer_of_ones_own_keeps_a_number_for_each_variable():
    """keras-team/keras#19965: a layer-wise optimizer was missing, and the
    answer was to write it with `build` and `update_step`; expected: it trains
    like any other."""
    model, (x, y) = compiled(optimizer=Normalized(0.02)), rows()
    history = train(model, x, y)
    assert history["loss"][-1] < history["loss"][0]
    assert {tuple(scale.shape) for scale in model.optimizer.scales} == {()}
    assert min(float(scale) for scale in model.optimizer.scales) > 0


def test_every_weight_still_learns_after_each_change():
    """microsoft/nni#4521 and FasterAI-Labs/fasterai#92: after pruning the
    optimizer held the old weights, and nothing moved; expected: all do."""
    model, (x, y), still = compiled(optimizer="sgd"), rows(), []
    before = []

    def compare(model):
        pairs = zip(model.trainable_variables, before[-1])
        still.extend(now.path for now, old in pairs if np.array_equal(now, old))

    watch = Each(
        before=lambda m: before.append(arrays(m.trainable_variables)),
        batch=compare,
    )
    train(model, x, y, [watch])
    assert still == []


def test_a_loaded_model_trains_on_without_a_jump(tmp_path):
    """tensorflow/tensorflow#40342 and keras-team/keras#13027: the loss jumped
    after loading, the count of steps was lost; expected: neither."""
    model, (x, y) = compiled(optimizer=keras.optimizers.Adam(0.02)), rows()
    train(model, x, y, epochs=10)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert int(again.optimizer.iterations) == 30
    losses = [
        each.fit(x, y, epochs=2, shuffle=False, verbose=0).history["loss"]
        for each in (model, again)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_gradients_that_overflow_are_skipped():
    """keras-team/keras#16552: in half precision the loss became NaN;
    expected: steps that overflow are left out and the scale sinks."""
    keras.config.set_dtype_policy("mixed_float16")  # reset after each test
    scaled = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.02), initial_scale=2.0**30
    )
    model, (x, y) = compiled(optimizer=scaled), rows()
    history = train(model, x, y, epochs=12)
    assert float(scaled.dynamic_scale) < 2.0**30
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0]
    assert all(np.isfinite(each).all() for each in arrays(model.weights))


# Losses and regularizers


def test_both_directions_are_regularized():
    """keras-team/keras#7514: the backward layer was not regularized;
    expected: both kernels of both directions are in the loss."""
    inputs, squares = keras.Input((6, 4)), keras.regularizers.L2(0.1)
    gru = layers.GRU(
        8, kernel_regularizer=squares, recurrent_regularizer=squares
    )
    x = layers.Bidirectional(gru, name="both")(inputs)
    model = compiled(keras.Model(inputs, layers.Dense(2)(x)), loss="mse")
    x, y = numbers(32, 6, 4), numbers(32, 2)
    train(model, x, y)
    both = model.get_layer("both")
    expected = 0.1 * sum(
        np.square(kernel).sum()
        for layer in (both.forward_layer, both.backward_layer)
        for kernel in (layer.cell.kernel, layer.cell.recurrent_kernel)
    )
    error = np.square(model.predict(x, verbose=0) - y).mean()
    loss = model.evaluate(x, y, verbose=0)
    assert loss - error == pytest.approx(expected, rel=1e-3)


def test_twins_are_pruned_together_and_regularized_once():
    """tensorflow/model-optimization#270 and keras-team/keras#8807: pruning
    failed for a network that is used twice, and its penalty counted twice."""
    left, right = keras.Input((8,)), keras.Input((8,))
    encoder = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, "relu", kernel_regularizer="l2", name="first"),
            layers.Dense(8, name="second"),
        ]
    )
    apart = layers.Subtract()([encoder(left), encoder(right)])
    outputs = layers.Dense(1, name="logits")(ops.square(apart))
    network = keras.Model([left, right], outputs)
    x = [numbers(32, 8), numbers(32, 8, seed=1)]
    model, _ = convert_and_train(network, x, numbers(32, 1))
    kernel = np.array(model.get_layer("first").kernel)
    penalty = float(sum(model.losses))
    assert penalty == pytest.approx(0.01 * np.square(kernel).sum(), rel=1e-4)
    same = model.predict([x[0], x[0]], verbose=0)
    bias = np.array(model.get_layer("logits").bias)
    np.testing.assert_allclose(same, np.tile(bias, (32, 1)), atol=1e-6)


def test_penalties_on_activities_are_in_the_loss():
    """tensorflow/tensorflow#33219 and keras-team/keras#2767: a penalty on
    activities had no effect; expected: it is in the loss at every width."""
    squares = keras.regularizers.L2(0.5)
    network = perceptron((16,), activity_regularizer=squares)
    model, (x, y) = compiled(network), rows(32)
    train(model, x, y)
    hidden = keras.Model(model.inputs, model.get_layer("hidden_0").output)
    expected = 0.5 * np.square(hidden.predict(x, verbose=0)).sum()
    if KERAS >= (3, 9):  # of one example since then, of the batch before
        expected /= 32
    loss = model.evaluate(x, y, verbose=0)
    plain = float(CROSSENTROPY(y, model.predict(x, verbose=0)))
    assert expected > 0.01
    assert loss - plain == pytest.approx(expected, rel=1e-3)


@keras.saving.register_keras_serializable("users")
class Penalty(layers.Layer):
    def call(self, inputs):
        self.add_loss(0.1 * ops.mean(ops.square(inputs)))
        return inputs


kgp.register_axes(Penalty)


def test_losses_of_layers_are_trained_and_saved(tmp_path):
    """bayesflow-org/bayesflow#541: losses that layers add were ignored in
    `fit`; expected: they count there, and after loading."""
    inputs = keras.Input((8,))
    x = Penalty()(layers.Dense(16, activation="relu")(inputs))
    x = layers.Dense(12, activation="relu")(x)
    model = compiled(keras.Model(inputs, layers.Dense(3)(x)))
    x, y = rows(32)
    history = train(model, x, y, epochs=8, shuffle=False)
    loss = model.evaluate(x, y, verbose=0)
    plain = float(CROSSENTROPY(y, model.predict(x, verbose=0)))
    assert loss > plain + 1e-3
    assert history["loss"][-1] > plain + 1e-3
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.evaluate(x, y, verbose=0) == pytest.approx(loss, rel=1e-5)


def test_outputs_by_name_have_their_losses_weights_and_metrics():
    """keras-team/keras#21675 and #13601: metrics of outputs in a dict failed,
    and the validation loss was no sum; expected: the weighted sum."""
    inputs = keras.Input((8,))
    x = layers.Dense(16, activation="relu")(inputs)
    x = layers.Dense(12, activation="relu")(x)
    outputs = {
        "kind": layers.Dense(3, name="kind")(x),
        "size": layers.Dense(1, name="size")(x),
    }
    model = grow(keras.Model(inputs, outputs))
    model.compile(
        "adam",
        {"kind": CROSSENTROPY, "size": "mse"},
        loss_weights={"kind": 1.0, "size": 0.5},
        metrics={"kind": ["accuracy"], "size": "mae"},
    )
    x, y = rows()
    y = {"kind": y, "size": x[:, :1]}
    last = {
        name: values[-1]
        for name, values in train(model, x, y, validation_data=(x, y)).items()
    }
    total = last["val_kind_loss"] + 0.5 * last["val_size_loss"]
    assert last["val_loss"] == pytest.approx(total, rel=1e-5)
    answer = model.predict(x, verbose=0)
    right = (answer["kind"].argmax(1) == y["kind"]).mean()
    assert last["val_kind_accuracy"] == pytest.approx(right)
    away = np.abs(answer["size"] - y["size"]).mean()
    assert last["val_size_mae"] == pytest.approx(away, rel=1e-4)


# Layers


def test_spectral_normalization_trains_in_fit():
    """keras-team/keras#19140 and #19183: `fit` failed with the wrapper;
    expected: it trains, and the wrapped kernel has a spectral norm of one."""
    inputs = keras.Input((8, 8, 3))
    inner = layers.Conv2D(6, 3, padding="same")
    x = layers.SpectralNormalization(inner, power_iterations=3)(inputs)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    model, (x, y) = compiled(pooled(inputs, x)), images()
    (wrapper,) = (
        layer
        for layer in model.layers
        if isinstance(layer, layers.SpectralNormalization)
    )
    before = np.array(wrapper.layer.kernel)
    train(model, x, y)
    kernel = np.array(wrapper.layer.kernel)
    assert np.abs(kernel - before).max() > 1e-4
    norm = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2)
    assert norm == pytest.approx(1, abs=0.1)


def test_statistics_of_a_frozen_norm_are_never_touched():
    """keras-team/keras#7085 and #6570: a norm that is not trainable changed
    its mean and variance; expected: both stay, each with its channel."""
    network = convolutions()
    norm = network.get_layer("norm_0")
    norm.trainable = False
    norm.moving_mean.assign(np.arange(8) / 10)
    norm.moving_variance.assign(1 + np.arange(8))
    model, (x, y) = grow(network, start="weights"), images()
    model.compile("adam", CROSSENTROPY)
    train(model, x, y, validation_data=(x, y))
    mean, variance = arrays(
        model.get_layer("norm_0").non_trainable_weights[-2:]
    )
    assert len(mean) < 8
    np.testing.assert_allclose(variance - 1, 10 * mean, atol=1e-5)
    assert set(np.round(10 * mean)) <= set(range(8))


def test_padding_that_is_masked_does_not_count():
    """keras-team/keras#3777: the average took padded steps into account;
    expected: a longer padding changes nothing."""
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(20, 12, mask_zero=True)(inputs)
    x = layers.Dense(12, activation="relu")(x)
    words = np.random.default_rng(0).integers(1, 20, (32, 5))
    padded = np.pad(words, ((0, 0), (0, 3)))
    model, _ = convert_and_train(pooled(inputs, x), padded, numbers(32, 2))
    answers = [model.predict(each, verbose=0) for each in (padded, words)]
    np.testing.assert_allclose(*answers, rtol=1e-5, atol=1e-6)


def test_masks_reach_stacked_recurrent_layers():
    """tensorflow/tensorflow#49262: whether a mask passes several layers was
    unclear; expected: what is masked changes nothing."""
    inputs = keras.Input((None, 4))
    x = layers.Masking()(inputs)
    x = layers.GRU(8, return_sequences=True)(x)
    x = layers.GRU(6)(x)
    network = keras.Model(inputs, layers.Dense(2)(x))
    steps = numbers(32, 5, 4)
    steps[:, 3:] = 0
    model, _ = convert_and_train(network, steps, numbers(32, 2), epochs=4)
    answers = [model.predict(x, verbose=0) for x in (steps, steps[:, :3])]
    np.testing.assert_allclose(*answers, rtol=1e-4, atol=1e-5)


def test_weights_alone_bring_the_best_result_back(tmp_path):
    """keras-team/keras#655: with PReLU and batch norm the saved weights did
    not repeat their validation result; expected: exactly that result."""
    inputs = keras.Input((8,))
    x = layers.PReLU(alpha_initializer="ones")(layers.Dense(16)(inputs))
    x = layers.Dropout(0.3)(layers.BatchNormalization()(x))
    x = layers.PReLU()(layers.Dense(8)(x))
    network = keras.Model(inputs, layers.Dense(3)(x))
    model, (x, y) = compiled(network), rows()
    path = tmp_path / "best.weights.h5"
    best = keras.callbacks.ModelCheckpoint(
        path, save_best_only=True, save_weights_only=True
    )
    history = train(model, x, y, [best], validation_data=(x, y))
    again = grow(network)
    again.load_weights(path)
    again.compile(loss=CROSSENTROPY)
    loss = again.evaluate(x, y, verbose=0)
    assert loss == pytest.approx(min(history["val_loss"]), rel=1e-5)


def test_a_last_batch_of_one_example_leaves_statistics_finite():
    """keras-team/keras#11858 and tensorflow/tensorflow#46205: if the last
    batch had one example, variances became NaN; expected: they do not."""
    inputs = keras.Input((8,))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(16)(inputs)))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(8)(x)))
    model = compiled(keras.Model(inputs, layers.Dense(3)(x)))
    x, y = rows(33)
    history = train(model, x, y, validation_data=(x, y))
    assert np.isfinite(history["val_loss"]).all()
    variances = [v for v in model.weights if v.name == "moving_variance"]
    assert len(variances) == 2
    assert all(np.isfinite(each).all() for each in arrays(variances))
    assert min(np.min(each) for each in arrays(variances)) > 0.01


def test_one_example_is_answered_as_in_a_batch():
    """keras-team/keras#13762: with batch norm, single examples all got the
    same answer; expected: the answers of the batch."""
    model, (x, y) = compiled(convolutions()), images()
    train(model, x, y)
    answer = model.predict(x[:4], verbose=0)
    single = model.predict(x[:4], batch_size=1, verbose=0)
    np.testing.assert_allclose(single, answer, atol=1e-5)
    assert np.ptp(answer, axis=0).max() > 1e-3


def test_newcomers_of_a_seeded_initializer_differ():
    """keras-team/keras-hub#352 and keras-team/keras#15586: an initializer
    that is used again repeats its values; expected: no two units are equal."""
    seeded = keras.initializers.GlorotUniform(seed=3)
    network = perceptron((16, 16), kernel_initializer=seeded)
    model, (x, y) = compiled(network, keras.optimizers.SGD(0.0)), rows()
    kernel, apart = model.get_layer("hidden_0").kernel, []

    def measure(model):
        columns = np.array(kernel).T
        distances = np.abs(columns[:, None] - columns[None]).max(-1)
        distances[np.diag_indices_from(distances)] = 1
        apart.append((len(columns), distances.min()))

    train(model, x, y, [Each(epoch=measure)])
    assert len({count for count, _ in apart}) > 2
    assert min(distance for _, distance in apart) > 1e-3


def test_dropout_is_the_same_with_the_same_seed():
    """keras-team/keras#17548: with each traced function the seed of dropout
    went on by one; expected: two runs with the same seed are equal."""
    losses = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        inputs = keras.Input((8,))
        x = layers.Dropout(0.5)(layers.Dense(16, activation="relu")(inputs))
        x = layers.GaussianNoise(0.1)(layers.Dense(8, activation="relu")(x))
        network = keras.Model(inputs, layers.Dense(3)(x))
        model = kgp.growable(network, kgp.Budget(params=0.5))
        model.compile("adam", CROSSENTROPY)
        losses.append(train(model, *rows())["loss"])
    assert losses[0] == losses[1]


# Data, memory, threads


class Batches(keras.utils.PyDataset):
    """Four batches, the last one smaller."""

    def __init__(self, x, y, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y = x, y

    def __len__(self):
        return 4

    def __getitem__(self, index):
        where = slice(16 * index, 16 * (index + 1))
        return self.x[where], self.y[where]


def test_data_sets_with_workers_end_their_epochs():
    """keras-team/keras#20425: with two workers the first epoch never ended;
    expected: each epoch has each example once, the last batch too."""
    model, (x, y) = compiled(), rows(50)
    train(model, Batches(x, y, workers=2), epochs=5)
    examples = [record["examples"] for record in model.ledger.epochs]
    assert examples == [50] * 5 and model.settled


def test_models_trained_in_a_loop_are_freed():
    """keras-team/keras#20552: memory grew with each model that was trained;
    expected: a model that nobody holds is gone."""
    gone = []
    for _ in range(2):
        model, (x, y) = compiled(), rows()
        train(model, x, y, validation_data=(x, y))
        model.predict(x, verbose=0)
        gone.append(weakref.ref(model))
        del model
        gc.collect()
    assert [each() for each in gone] == [None, None]


_HERE = threading.local()


@keras.saving.register_keras_serializable("users")
class Pause(layers.Layer):
    """Waits in the middle of a call, in threads that say so."""

    def call(self, inputs):
        pause = getattr(_HERE, "pause", None)
        if pause is not None:
            reached, go_on = pause
            reached.set()
            go_on.wait(1)
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


kgp.register_axes(Pause)


def test_a_thread_that_is_answering_meets_no_half_changed_network():
    """tensorflow/tensorflow#61298 and keras-team/keras#5640: answering in one
    thread failed at times; expected: the answer of before or of after."""
    inputs = keras.Input((8,))
    x = Pause()(layers.Dense(16, activation="relu", name="first")(inputs))
    x = layers.Dense(12, activation="relu", name="second")(x)
    model = grow(keras.Model(inputs, layers.Dense(3)(x)), start="weights")
    x, _ = rows(4)
    answers = [np.array(model(x))]
    reached, go_on = threading.Event(), threading.Event()

    def answer():
        _HERE.pause = reached, go_on
        try:
            answers.append(np.array(model(x)))
        except Exception as error:
            answers.append(error)

    thread = threading.Thread(target=answer)
    thread.start()
    assert reached.wait(10)
    units = np.arange(28) % 2 == 0
    model.restructure(kgp.Structure(units, model.structure.gates))
    go_on.set()
    thread.join()
    before, between = answers
    assert not isinstance(between, Exception), between
    assert any(np.allclose(between, each) for each in (before, model(x)))


def test_two_threads_train_two_models():
    """SciSharp/Keras.NET#122 and keras-team/keras#5223: training in a thread
    froze or failed; expected: two models train side by side."""
    histories = {}

    def run(seed):
        x, y = rows()
        model = kgp.growable(perceptron(), kgp.Budget(params=0.5), seed=seed)
        model.compile("adam", CROSSENTROPY)
        histories[seed] = train(model, x, y)["settled"]

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {seed: values[-1] for seed, values in histories.items()} == {
        1: 1,
        2: 1,
    }


def test_a_wrapper_of_scikit_learn_takes_a_function_that_builds():
    """keras-team/keras#13717: cross-validation failed for models that a
    function builds; expected: each fold has a network of its own."""
    base = pytest.importorskip("sklearn.base")
    built, (x, y) = [], rows(60)

    def build(X, y):
        built.append(grow(perceptron()))
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        built[-1].compile("adam", loss)
        return built[-1]

    classifier = keras.wrappers.SKLearnClassifier(build)
    for fold in (slice(0, 30), slice(30, 60)):
        each = base.clone(classifier)
        each.fit(x[fold], y[fold], epochs=6, verbose=0)
        assert each.score(x[fold], y[fold]) > 1 / 3
    assert len(built) == 2 and all(model.settled for model in built)
    assert max(model.count_params() for model in built) < 200


def test_a_wrapper_that_clones_grows_or_says_that_it_does_not():
    """keras-team/keras#20884: the wrapper trains a clone, which lost what the
    model had; expected: it grows, or a warning tells that it will not."""
    pytest.importorskip("sklearn")
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    classifier = keras.wrappers.SKLearnClassifier(
        compiled(loss=loss), fit_kwargs={"epochs": 6, "verbose": 0}
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier.fit(*rows(60))
    told = any("grow" in str(each.message) for each in caught)
    assert told or getattr(classifier.model_, "settled", False)


# Files


def test_a_loss_of_one_batch_is_the_same_after_loading(tmp_path):
    """keras-team/keras#22596: `test_on_batch` gave another loss after
    loading; expected: that of the batch, before and after."""
    model, (x, y) = compiled(metrics=["accuracy"]), rows()
    train(model, x, y)
    model.reset_metrics()  # Keras 3.8 does not
    before = model.test_on_batch(x[:16], y[:16])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.test_on_batch(x[:16], y[:16]), before)
    plain = float(CROSSENTROPY(y[:16], model.predict(x[:16], verbose=0)))
    assert before[0] == pytest.approx(plain, rel=1e-5)


def test_a_lambda_is_loaded_if_the_user_trusts_the_file(tmp_path):
    """keras-team/tf-keras#44 and keras-team/keras#18284: there was no way to
    load a model with a lambda; expected: there is, and without it nothing of
    the file is run unseen (a lambda that became operations is no code)."""
    inputs = keras.Input((8,))
    x = layers.Dense(16, activation="relu")(inputs)
    x = layers.Lambda(lambda x: 2 * x)(x)
    x = layers.Dense(12, activation="relu")(x)
    model = compiled(keras.Model(inputs, layers.Dense(3)(x)))
    x, y = rows()
    train(model, x, y)
    model.save(tmp_path / "model.keras")
    has_code = any(isinstance(each, layers.Lambda) for each in model.layers)
    if has_code:
        with pytest.raises(ValueError, match="safe_mode"):
            keras.models.load_model(tmp_path / "model.keras")
    again = keras.models.load_model(
        tmp_path / "model.keras", safe_mode=not has_code
    )
    assert again.widths == model.widths
    np.testing.assert_allclose(again(x), model(x), atol=1e-6)


def test_a_checkpoint_of_another_structure_is_refused_or_brings_it(tmp_path):
    """tensorflow/tensorflow#52220 and #24695: a checkpoint of other shapes was
    restored without an error, and the model told its old shapes; expected: an
    error, or (here) the structure that belongs to the weights."""
    model, (x, y) = compiled(), rows()
    checkpoint = tf.train.Checkpoint(model=model)
    model.fit(x, y, epochs=2, growth_epochs=6, verbose=0)
    widths, answer = model.widths, model.predict(x, verbose=0)
    path = checkpoint.save(str(tmp_path / "checkpoint"))
    model.fit(x, y, epochs=6, initial_epoch=2, verbose=0)
    assert model.widths != widths
    try:
        checkpoint.restore(path)
    except ValueError:
        return
    assert model.widths == widths
    np.testing.assert_allclose(model.predict(x, verbose=0), answer, atol=1e-5)
    np.testing.assert_allclose(model.compact()(x), answer, atol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(x), answer, atol=1e-5)


def test_the_file_is_smaller(tmp_path):
    """tensorflow/model-optimization#373, microsoft/nni#3094 and #4230: the
    pruned model had as many parameters and a file as large, or larger."""
    network = perceptron((96, 96))
    model = grow(network, kgp.Budget(params=0.1))
    model.compile("sgd", CROSSENTROPY)
    train(model, *rows())
    small = model.compact()
    assert small.count_params() <= 0.1 * network.count_params()
    for name, each in {"full": network, "small": small}.items():
        each.save_weights(tmp_path / f"{name}.weights.h5")
    sizes = [
        (tmp_path / f"{name}.weights.h5").stat().st_size
        for name in ("full", "small")
    ]
    assert sizes[1] < 0.5 * sizes[0]


def test_an_exported_network_takes_batches_of_any_size(tmp_path):
    """tensorflow/models#9358: the exported model took single images only;
    expected: its signature takes any number."""
    model, (x, y) = compiled(convolutions()), images()
    train(model, x, y)
    model.export(tmp_path / "1")
    served = tf.saved_model.load(str(tmp_path / "1"))
    expected = model.predict(x, verbose=0)
    for count in (1, 5):
        signature = served.signatures["serving_default"]
        (answer,) = signature(tf.constant(x[:count])).values()
        np.testing.assert_allclose(answer, expected[:count], atol=1e-5)


# Pruning


def test_pixels_made_of_channels_keep_them():
    """VainF/Torch-Pruning#420 and #98: channels that become pixels were
    pruned, and the next layer did not fit; expected: they stay, all else is
    pruned, and the report names them."""
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(12, 3, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(16, 3, padding="same", name="pixels")(x)
    x = ops.reshape(x, (-1, 6, 6, 2, 2, 4))
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 12, 12, 4))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    network = keras.Model(inputs, layers.Conv2D(1, 1)(x))
    model, small = convert_and_train(
        network, numbers(32, 6, 6, 2), numbers(32, 12, 12, 1)
    )
    assert small.get_layer("pixels").filters == 16
    assert "reshape" in model.coupling_report().frozen["pixels"]
    assert len(model.widths) == 2


def test_super_resolution_of_any_size_is_pruned():
    """tensorflow/model-optimization#928: a network for images of unknown size
    could not be pruned; expected: it can, and takes other sizes."""
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(12, 3, padding="same")(x)
    outputs = layers.Lambda(
        lambda x: tf.nn.depth_to_space(x, 2),
        output_shape=lambda shape: (shape[0], None, None, 3),
    )(x)
    model, _ = convert_and_train(
        keras.Model(inputs, outputs),
        numbers(32, 6, 6, 3),
        numbers(32, 12, 12, 3),
    )
    answer = model.predict(numbers(2, 5, 7, 3), verbose=0)
    assert answer.shape == (2, 10, 14, 3)


def test_shuffled_channels_stay_with_their_readers():
    """VainF/Torch-Pruning#14 and #45: nets with split and shuffled channels
    could not be pruned; expected: what can follow is pruned, the rest stays."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    for _ in range(2):
        a, b = ops.split(x, 2, axis=-1)
        b = layers.Conv2D(8, 1, activation="relu")(b)
        b = layers.BatchNormalization()(
            layers.DepthwiseConv2D(3, padding="same")(b)
        )
        x = ops.concatenate([a, layers.Conv2D(4, 1)(b)], axis=-1)
        x = ops.transpose(ops.reshape(x, (-1, 8, 8, 2, 4)), (0, 1, 2, 4, 3))
        x = ops.reshape(x, (-1, 8, 8, 8))
    x = layers.Conv2D(16, 1, activation="relu")(x)
    convert_and_train(
        pooled(inputs, x), numbers(32, 8, 8, 3), numbers(32, 2), share=0.6
    )


def test_squeeze_and_excitation_follows_its_depthwise_convolution():
    """microsoft/nni#4720 and #3206: channels that are weighted by a side
    branch did not fit after pruning; expected: both sides lose the same."""
    inputs = keras.Input((8, 8, 3))
    stem = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    stem = layers.BatchNormalization()(stem)
    x = layers.Conv2D(24, 1, activation="swish", name="expand")(stem)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Activation("swish")(layers.BatchNormalization()(x))
    s = layers.Reshape((1, 1, 24))(layers.GlobalAveragePooling2D()(x))
    s = layers.Conv2D(6, 1, activation="swish")(s)
    s = layers.Conv2D(24, 1, activation="sigmoid", name="excite")(s)
    x = layers.Conv2D(8, 1)(layers.Multiply()([x, s]))
    x = layers.Add()([stem, layers.BatchNormalization()(x)])
    _, small = convert_and_train(
        pooled(inputs, x), numbers(32, 8, 8, 3), numbers(32, 2)
    )
    names = [layer.name for layer in small.layers]
    if "expand" in names:  # or the whole branch has left
        width = small.get_layer("expand").filters
        assert width < 24
        assert small.get_layer("excite").filters == width
        assert small.get_layer("depthwise").output.shape[-1] == width


def test_groups_of_a_convolution_stay_equally_wide():
    """microsoft/nni#4864 and #4648: groups were left with unequal numbers of
    filters; expected: each loses as many."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(12, 3, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(12, 3, groups=3, activation="relu", name="groups")(x)
    x = layers.Conv2D(8, 3)(x)
    _, small = convert_and_train(
        pooled(inputs, x), numbers(32, 8, 8, 3), numbers(32, 2)
    )
    layer = small.get_layer("groups")
    assert layer.groups == 3 and layer.filters % 3 == 0
    assert layer.input.shape[-1] % 3 == 0


def test_a_vector_that_becomes_an_image_keeps_its_length():
    """VainF/Torch-Pruning#125: a dense layer in front of a reshape was pruned
    and indices ran out of bounds; expected: it stays, the rest is pruned."""
    inputs = keras.Input((8,))
    x = layers.Reshape((4, 4, 8))(layers.Dense(128, name="vector")(inputs))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for _ in range(2):
        x = layers.Conv2DTranspose(12, 4, strides=2, padding="same")(x)
        x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    network = keras.Model(inputs, layers.Conv2D(1, 1)(x))
    model, small = convert_and_train(
        network, numbers(32, 8), numbers(32, 16, 16, 1)
    )
    assert small.get_layer("vector").units == 128
    assert "vector" in model.coupling_report().frozen


def test_both_ways_through_a_u_net_are_pruned():
    """ethanhe42/channel-pruning#78: a U-Net could not be pruned; expected:
    each convolution is, also those whose outputs are put side by side."""
    inputs = keras.Input((8, 8, 3))
    options = {"padding": "same", "activation": "relu"}
    high = layers.Conv2D(8, 3, **options)(inputs)
    low = layers.Conv2D(12, 3, **options)(layers.MaxPooling2D()(high))
    up = layers.Conv2DTranspose(8, 2, strides=2)(low)
    x = layers.Conv2D(8, 3, **options)(layers.Concatenate()([up, high]))
    network = keras.Model(inputs, layers.Conv2D(2, 1)(x))
    model, _ = convert_and_train(
        network, numbers(32, 8, 8, 3), numbers(32, 8, 8, 2)
    )
    assert len(model.widths) == 4
    assert all(1 <= width for width in model.widths.values())


def test_a_head_of_its_own_on_a_base_is_pruned_with_it():
    """tensorflow/model-optimization#40: a base with a Sequential head on it
    was refused; expected: layers of both are pruned."""
    base = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, activation="relu", name="base"),
            layers.MaxPooling2D(),
        ]
    )
    head = keras.Sequential(
        [
            keras.Input((3, 3, 8)),
            layers.Flatten(),
            layers.Dense(16, activation="relu", name="head"),
            layers.Dropout(0.5),
            layers.Dense(2),
        ]
    )
    network = keras.Model(base.inputs, head(base.outputs[0]))
    model, _ = convert_and_train(network, numbers(32, 8, 8, 3), numbers(32, 2))
    assert model.widths.keys() == {"base", "head"}
    assert model.widths["base"] < 8 or model.widths["head"] < 16


def test_recurrent_layers_are_pruned_and_saved(tmp_path):
    """tensorflow/model-optimization#374 and #944: wrapped recurrent layers
    could not be pruned, or not be saved; expected: both."""
    inputs = keras.Input((6, 4))
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(inputs)
    x = layers.GRU(8, name="gru")(x)
    network = keras.Model(inputs, layers.Dense(2)(x))
    x = numbers(32, 6, 4)
    model, small = convert_and_train(network, x, numbers(32, 2))
    for name, each in {"model": model, "small": small}.items():
        each.save(tmp_path / f"{name}.keras")
        again = keras.models.load_model(tmp_path / f"{name}.keras")
        np.testing.assert_allclose(again(x), model(x), atol=1e-5)
    assert min(model.widths.values()) < 8


def test_validation_speaks_of_the_pruned_network():
    """open-mmlab/mmrazor#75 and mit-han-lab/once-for-all#15: statistics of
    batch norms were of another width; expected: measured anew, so that the
    validation of an epoch is that of a network with exact statistics."""
    model, (x, y) = compiled(convolutions(), "sgd"), images()
    exact, mode = [], {"training": True}

    def measure(model):
        logits = model.compact()(x, **mode)  # with the batch's own statistics
        exact.append(float(CROSSENTROPY(y, logits)))

    options = {"validation_data": (x, y), "validation_batch_size": 32}
    history = train(model, x, y, [Each(epoch=measure)], **options)
    np.testing.assert_allclose(history["val_loss"], exact, rtol=0.05)


def test_what_was_pruned_can_be_pruned_again():
    """VainF/Torch-Pruning#206: after the first round nothing more was pruned;
    expected: a second budget is a share of what the first one left."""
    network, (x, y) = perceptron((32, 32)), rows()
    for share in (0.5, 0.25):
        model, network = convert_and_train(
            network, x, y, loss=CROSSENTROPY, start="weights"
        )
        assert (
            network.count_params()
            <= share * perceptron((32, 32)).count_params()
        )


def test_a_network_with_nothing_to_prune_is_an_error():
    """VainF/Torch-Pruning#416: nothing was pruned, and nothing was said;
    expected: an error that names the layers and why they stay."""
    inputs = keras.Input((8,))
    x = layers.Reshape((4, 4))(layers.Dense(16, name="first")(inputs))
    network = keras.Model(inputs, layers.Dense(3, name="last")(x))
    with pytest.raises(ValueError, match="`first`.*`last`"):
        grow(network)


def test_tokens_and_channels_in_turn():
    """alibaba/TinyNeuralNetwork#65: pruning failed where a tensor had more
    axes after a reshape; expected: axes that move are followed."""
    inputs = keras.Input((6, 8))
    x = layers.Dense(12)(inputs)
    y = layers.Permute((2, 1))(layers.LayerNormalization()(x))
    y = layers.Dense(6)(layers.Dense(10, activation="gelu")(y))
    x = layers.Add()([x, layers.Permute((2, 1))(y)])
    y = ops.reshape(x, (-1, 2, 3, 12))
    y = layers.Dense(24, activation="gelu")(y)
    y = layers.Dense(8)(ops.reshape(y, (-1, 6, 24)))
    convert_and_train(pooled(inputs, y), numbers(32, 6, 8), numbers(32, 2))


@pytest.mark.parametrize("start", ["seed", "weights"])
def test_recurrent_convolutions_stay_and_the_rest_is_pruned(start):
    """tensorflow/model-optimization#39: whether ConvLSTM2D is supported was
    asked; expected: it stays as it is, what is around it is pruned."""
    inputs = keras.Input((4, 6, 6, 2))
    x = layers.ConvLSTM2D(4, 3, padding="same", name="recurrent")(inputs)
    x = layers.Conv2D(12, 3, activation="relu")(x)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    model, small = convert_and_train(
        pooled(inputs, x),
        numbers(32, 4, 6, 6, 2),
        numbers(32, 2),
        share=0.8,
        start=start,
    )
    assert small.get_layer("recurrent").filters == 4
    assert "recurrent" in model.coupling_report().frozen


def test_an_input_that_nothing_reads_stays_an_input():
    """keras-team/keras#5179: an input that leads nowhere made saving fail
    with a KeyError; expected: all that works without it works with it."""
    inputs = {
        "used": keras.Input((8,), name="used"),
        "unused": keras.Input((3,), name="unused"),
    }
    x = layers.Dense(16, activation="relu")(inputs["used"])
    x = layers.Dense(12, activation="relu")(x)
    network = keras.Model(inputs, layers.Dense(2)(x))
    x = {"used": numbers(32, 8), "unused": numbers(32, 3)}
    _, small = convert_and_train(network, x, numbers(32, 2))
    assert set(small.input) == {"used", "unused"}


def test_an_input_stays_when_the_branch_that_reads_it_leaves():
    """keras-team/keras#2790: a network with an input that is not used at
    present could not be written; here a branch that left was its reader."""
    first, second = keras.Input((8,)), keras.Input((4,))
    x = layers.Dense(12)(first)
    y = layers.Dense(12)(layers.Concatenate()([x, second]))
    x = layers.Dense(8, activation="relu")(layers.Add()([x, y]))
    network = keras.Model([first, second], layers.Dense(2)(x))
    model = grow(network, start="weights")
    model.restructure(kgp.Structure(model.structure.units, [False]))
    x = [numbers(4, 8), numbers(4, 4)]
    small = model.compact()
    np.testing.assert_allclose(small(x), model(x), atol=1e-5)
    assert len(small.inputs) == 2

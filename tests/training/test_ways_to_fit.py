"""However the data come and `fit` is called: the same network results."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import dense
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import network_arrays
from tests.networks import random_structure
from tests.networks import residual

EPOCHS = 6  # settles after half of them
BATCH = 8


class Structures(keras.callbacks.Callback):
    """The structure of each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(self.model.structure)


class Run:
    """A model after a whole run, and what happened in it."""

    def __init__(
        self, network=dense, optimizer="adam", data=None, compiled=(), **kwargs
    ):
        keras.utils.set_random_seed(0)
        self.model = grow(network(), seed=1)
        compile_model(self.model, optimizer, **dict(compiled))
        self.callback = Structures()
        kwargs["callbacks"] = [self.callback, *kwargs.get("callbacks", ())]
        kwargs = {"epochs": EPOCHS, "verbose": 0, "shuffle": False, **kwargs}
        if data is None:
            data = examples(self.model)
            kwargs.setdefault("batch_size", BATCH)
        data = data if isinstance(data, tuple) else (data,)
        self.history = self.model.fit(*data, **kwargs).history
        self.structures = self.callback.seen
        self.weights = [v.numpy() for v in self.model.weights]


def assert_same_run(one, other, tolerance=0.0):
    assert one.structures == other.structures
    assert len(set(map(str, one.structures))) > 2 and one.model.settled
    for name in ("loss", "cost", "price"):
        first, second = one.history[name], other.history[name]
        np.testing.assert_allclose(first, second, tolerance, tolerance)
    for first, second in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(first, second, tolerance, tolerance)


def normed():
    return dense(norm="batch")


@pytest.mark.slow
@pytest.mark.parametrize("network", [normed, residual])
def test_running_eagerly(network):
    eager = Run(network, compiled={"run_eagerly": True})
    assert_same_run(Run(network), eager, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [2, 3, 9])
def test_several_steps_in_a_call(steps):
    """Of four steps in an epoch."""
    several = Run(normed, compiled={"steps_per_execution": steps})
    assert_same_run(Run(normed), several, 1e-6)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // BATCH

    def __getitem__(self, index):
        here = slice(index * BATCH, (index + 1) * BATCH)
        return self.x[here], self.y[here]


def generated(x, y, forever=False):
    batches = Batches(x, y)
    for _ in range(10**6 if forever else EPOCHS):
        for index in range(len(batches)):
            yield batches[index]


SOURCES = {
    "data set": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(
        BATCH
    ),
    "PyDataset": Batches,
    "PyDataset with workers": lambda x, y: Batches(
        x, y, workers=3, max_queue_size=4
    ),
    "generator": generated,
    "generator without end": lambda x, y: generated(x, y, forever=True),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("source", SOURCES)
def test_where_the_batches_come_from(source):
    x, y = examples(grow(dense()))
    steps = {"steps_per_epoch": 4} if "generator" in source else {}
    assert_same_run(Run(), Run(data=SOURCES[source](x, y), **steps))


def test_sample_weights_are_copies_of_examples():
    x, y = examples(grow(dense()))
    index = np.arange(32)
    weights = np.tile([2.0, 0.0, 1.0, 1.0], 8)
    copied = np.where(index % 4 == 1, index - 1, index)
    weighted = Run(data=(x, y), sample_weight=weights, batch_size=BATCH)
    copies = Run(data=(x[copied], y[copied]), batch_size=BATCH)
    assert_same_run(weighted, copies, 2e-5)


@pytest.mark.slow
def test_class_weights_are_copies_of_examples():
    x, _ = examples(grow(dense()))
    y = np.tile([0, 1, 2, 2], 8)
    index = np.arange(32)
    copied = np.where(y == 1, index - 1, index)
    weights = {0: 2.0, 1: 0.0, 2: 1.0}
    weighted = Run(data=(x, y), class_weight=weights, batch_size=BATCH)
    copies = Run(data=(x[copied], y[copied]), batch_size=BATCH)
    assert_same_run(weighted, copies, 2e-5)


class RandomChanges(keras.callbacks.Callback):
    """A structure for each epoch, the same ones in each run."""

    def __init__(self):
        super().__init__()
        self.random = np.random.default_rng(0)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch:
            structure = random_structure(self.model, self.random)
            self.model.restructure(structure)


@pytest.mark.slow
@pytest.mark.parametrize("norm", [None, "layer"])
def test_gradients_are_accumulated_over_changes(norm):
    """Without batch norms, two batches are one of twice the size.

    But for what growing knows of how a unit's worth differs from batch to
    batch: the changes are given here.
    """
    runs = []
    for accumulated in (1, 2):
        optimizer = keras.optimizers.SGD(
            0.05,
            momentum=0.9,
            gradient_accumulation_steps=accumulated
            if accumulated > 1
            else None,
        )
        run = Run(
            lambda: dense(norm=norm),
            optimizer,
            batch_size=16 // accumulated,
            callbacks=[RandomChanges()],
            growth_epochs=1000,
        )
        runs.append(run)
    for name in ("loss", "cost"):
        first, second = (run.history[name] for run in runs)
        np.testing.assert_allclose(first, second, 1e-5)
    assert len(set(runs[0].history["cost"])) > 3
    for first, second in zip(runs[0].weights, runs[1].weights, strict=True):
        np.testing.assert_allclose(first, second, 1e-4, 1e-5)


@pytest.mark.slow
def test_validation_comes_when_it_is_asked_for_and_changes_nothing():
    x, y = examples(grow(dense()), 40)
    train, test = (x[:32], y[:32]), (x[32:], y[32:])
    found = []

    class Evaluate(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            found.append(self.model.evaluate(*test, verbose=0))

    plain = Run(normed, data=train, batch_size=BATCH)
    every = Run(
        normed,
        data=train,
        batch_size=BATCH,
        validation_data=test,
        validation_freq=2,
        callbacks=[Evaluate()],
    )
    split = Run(normed, data=(x, y), batch_size=BATCH, validation_split=0.2)
    assert_same_run(plain, every)
    assert_same_run(plain, split)
    np.testing.assert_allclose(every.history["val_loss"], found[1::2], 1e-6)
    np.testing.assert_allclose(split.history["val_loss"], found, 1e-6)
    assert len(set(found)) == EPOCHS


@pytest.mark.slow
def test_evaluating_within_an_epoch_changes_no_weights():
    losses = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch % 2:
                x, y = examples(self.model, 8, seed=3)
                losses.append(self.model.evaluate(x, y, verbose=0))
                small = compile_model(self.model.compact())
                plain = small.evaluate(x, y, verbose=0)
                assert plain == pytest.approx(losses[-1], rel=1e-4)

    plain, looking = Run(normed), Run(normed, callbacks=[Look()])
    assert plain.structures == looking.structures
    assert_same_bits(plain.weights, looking.weights)
    assert len(set(losses)) == 2 * EPOCHS


@pytest.mark.slow
def test_a_settled_network_trains_on_with_other_data_and_batch_sizes():
    run = Run(normed)
    model, structure = run.model, run.model.structure
    x, y = examples(model, 50, seed=5)
    loss = model.evaluate(x, y, verbose=0)
    for batch_size in (50, 7):
        before = [v.numpy() for v in model.trainable_variables]
        logs = fit(model, 6, batch_size=batch_size)
        assert set(logs["settled"]) == {1.0}
        now = model.trainable_variables
        assert all((a != b.numpy()).any() for a, b in zip(before, now))
    history = model.fit(x, y, 13, epochs=30, verbose=0).history
    assert model.structure == structure
    assert model.evaluate(x, y, verbose=0) < 0.95 * loss
    assert len(set(history["cost"])) == 1


def test_growing_goes_on_with_other_data_and_batch_sizes():
    model = compile_model(grow(dense()), "adam")
    for epoch, (batch_size, count) in enumerate([(16, 32), (5, 12), (64, 64)]):
        logs = fit(
            model,
            epoch + 1,
            count,
            batch_size=batch_size,
            initial_epoch=epoch,
            growth_epochs=6,
        )
        assert logs["settled"] == [0.0]
        assert model.ledger.epochs[-1]["examples"] == count
    assert len({str(each["units"]) for each in model.ledger.epochs}) > 1
    logs = fit(model, 6, initial_epoch=3, growth_epochs=6)
    assert logs["settled"] == [1, 1, 1] and logs["cost"][-1] <= 0.5


def test_another_optimizer_takes_over_in_the_middle():
    model = compile_model(grow(normed()), "adam")
    fit(model, 2, growth_epochs=EPOCHS)
    structure = model.structure
    before = [v.numpy() for v in model.variables[: len(model.weights)]]
    compile_model(model, keras.optimizers.SGD(0.01, momentum=0.9))
    assert model.structure == structure and not model.settled
    assert_same_bits(before, model.variables[: len(model.weights)])
    logs = fit(model, EPOCHS, initial_epoch=2, growth_epochs=EPOCHS)
    assert logs["settled"] == [0, 1, 1, 1] and logs["cost"][-1] <= 0.5
    slots = {v.path: v for v in model.optimizer.variables}
    moved = [v for path, v in slots.items() if "momentum" in path]
    shapes = [tuple(v.shape) for v in model.trainable_variables]
    assert [tuple(v.shape) for v in moved] == shapes
    assert all(np.abs(v.numpy()).max() > 0 for v in moved)


def entries_of(model, layer):
    """Trainable weights of a layer at full size, NaN where not present."""
    weights = model._growth.blueprint.map.weights
    return {
        weights[index].attribute: value
        for (index, slot), value in network_arrays(model).items()
        if slot is None and weights[index].layer is layer
    }


def test_a_layer_is_frozen_and_unfrozen_in_the_middle():
    model = grow(normed(), seed=2)
    layer, norm = model.layers[1], model.layers[2]
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.note()

        def on_epoch_end(self, epoch, logs=None):
            self.note()

        def note(self):
            seen.append({**entries_of(model, layer), **entries_of(model, norm)})

    def train(epochs, trainable):
        layer.trainable = norm.trainable = trainable
        compile_model(model, keras.optimizers.Adam(0.05))
        seen.clear()
        first = len(model.ledger.epochs)
        fit(
            model,
            first + epochs,
            initial_epoch=first,
            growth_epochs=9,
            callbacks=[Look()],
        )
        return {
            name: np.all([one[name] == one[name] for one in seen], axis=0)
            for name in seen[0]
        }

    train(2, True)
    head = model.layers[-1].kernel.numpy()
    widths = set()
    stayed = train(4, False)
    for name, mask in stayed.items():
        assert mask.any(), name
        for each in seen:
            values = each[name][mask]
            np.testing.assert_array_equal(values, seen[0][name][mask])
        widths |= {int(np.isfinite(each[name]).sum()) for each in seen}
    assert len(widths) > len(stayed)  # it did grow meanwhile
    assert head.shape != model.layers[-1].kernel.shape or (
        np.abs(head - model.layers[-1].kernel.numpy()).max() > 1e-3
    )
    stayed = train(3, True)
    assert model.settled
    for name, mask in stayed.items():
        change = np.abs(seen[-1][name][mask] - seen[0][name][mask])
        assert np.mean(change > 1e-4) > 0.9, name


@pytest.mark.slow
@pytest.mark.parametrize("exponent", [18, 24])
def test_a_loss_scale_that_overflows_falls_and_training_goes_on(exponent):
    """At first for a few batches, or for longer than an epoch."""
    keras.config.set_dtype_policy("mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=2.0**exponent
    )
    scales = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            scales.append(float(optimizer.dynamic_scale.numpy()))

    run = Run(normed, optimizer, epochs=16, callbacks=[Look()])
    assert run.model.settled and run.history["cost"][-1] <= 0.5
    assert scales[-1] < 2.0**17 and scales[-1] == scales[-8]
    assert (scales[0] > scales[1]) == (exponent == 24)
    assert np.isfinite(run.history["loss"]).all()
    assert run.history["loss"][-1] < 0.95 * run.history["loss"][0]
    assert all(np.isfinite(value).all() for value in run.weights)

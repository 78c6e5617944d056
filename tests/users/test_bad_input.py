"""What a user may do wrong: the error that tells it, or what happens instead.

Whatever is refused has touched nothing: not a weight, not the structure.
"""

import json
import os
import warnings
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_growprune as kgp
from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import grow

HALF = kgp.Budget(flops=0.5)
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(32, 5)).astype("float32")
Y = RANDOM.integers(0, 3, 32)


def fit(model, x=X, y=Y, **kwargs):
    arguments = {"epochs": 3, "batch_size": 16, "verbose": 0, **kwargs}
    return model.fit(x, y, **arguments).history


def with_data(*arguments, **kwargs):
    return lambda model, folder: fit(model, *arguments, **kwargs)


def restructured(*arguments):
    return lambda model, folder: model.restructure(*arguments)


def loaded(write, name):
    """Loads a file into the model that `write` made."""

    def act(model, folder):
        path = str(folder / name)
        write(model, path)
        model.load_weights(path)

    return act


def another_models(model, path):
    compile_model(grow(dense((7, 9))), "adam").save_weights(path)


def plain_models(model, path):
    keras.Model(*dense()).save_weights(path)


def cut_in_half(model, path):
    model.save_weights(path)
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)


def empty_file(model, path):
    open(path, "wb").close()


def no_file(model, path):
    pass


def saved(name):
    return lambda model, folder: model.save(str(folder / name))


def newer_keras_file(model, folder):
    """As if a later version of the library had written it."""
    path = str(folder / "m.weights.h5")
    model.save_weights(path)
    import h5py

    with h5py.File(path, "r+") as file:
        found = []
        file.visit(
            lambda key: found.append(key) if key.endswith("contents") else None
        )
        table = json.loads(bytes(file[found[0]][...]))
        table["version"] += 1
        del file[found[0]]
        text = json.dumps(table).encode()
        file[found[0]] = np.frombuffer(text, dtype="uint8")
    model.load_weights(path)


# What was done, and what the error says.
REFUSED = {
    "too few features": (
        with_data(X[:, :4]),
        r"Expected: \(None, 5\) for input `.*`. Received: .*\(32, 4\)",
    ),
    "too many axes": (with_data(X[:, :, None, None]), r"\(32, 5, 1, 1\)"),
    "no axis of features": (with_data(X[:, 0]), r"an array of shape \(32,\)"),
    "text for numbers": (
        with_data(np.full((32, 5), "a")),
        "must hold real numbers.*<U1",
    ),
    "objects for numbers": (
        with_data(np.full((32, 5), None)),
        "must hold real numbers.*object",
    ),
    "complex numbers": (with_data(X.astype("complex64")), "complex64"),
    "no data": (with_data(None, None), "Received: x=None"),
    "no examples": (with_data(X[:0], Y[:0]), "at least one example"),
    "no targets": (with_data(X, None), "must hold the targets.*y=None"),
    "fewer targets": (with_data(X, Y[:-1]), "same number of samples"),
    "targets of another rank": (
        with_data(X, np.eye(3)[Y]),
        "must have rank",
    ),
    "validation inputs of another shape": (
        with_data(validation_data=(X[:, :3], Y)),
        r"`validation_data\[0\]` must have the shapes",
    ),
    "no validation targets": (
        with_data(validation_data=(X, None)),
        r"`validation_data\[1\]` must hold the targets",
    ),
    "no validation examples": (
        with_data(validation_data=(X[:0], Y[:0])),
        r"`validation_data\[0\]` must hold at least one",
    ),
    "all for validation": (with_data(validation_split=1.0), "validation"),
    "epochs that are no number": (with_data(epochs="3"), "epochs='3'"),
    "half an epoch": (with_data(epochs=1.5), "epochs=1.5"),
    "less than no epoch": (with_data(epochs=-1), "epochs=-1"),
    "a first epoch below zero": (
        with_data(initial_epoch=-1),
        "`initial_epoch` must be an integer of at least 0",
    ),
    "growth epochs of none": (with_data(growth_epochs=0), "growth_epochs=0"),
    "a batch of nothing": (with_data(batch_size=0), "batch_size=0"),
    "a batch below zero": (with_data(batch_size=-4), "batch_size=-4"),
    "no steps": (with_data(steps_per_epoch=0), "steps_per_epoch=0"),
    "a callback that is none": (with_data(callbacks=["early"]), "'early'"),
    "weights of another model": (
        lambda model, folder: model.set_weights(
            grow(dense((9, 7))).get_weights()
        ),
        "another network",
    ),
    "weights of other shapes": (
        lambda model, folder: model.set_weights(
            [np.ones((2, 2))] * len(model.weights)
        ),
        "must have the shapes",
    ),
    "a structure that is none": (restructured(None), "structure=None"),
    "an array as a structure": (
        restructured(np.ones(14)),
        "must be a `Structure`.*ndarray",
    ),
    "a structure of another size": (
        restructured(kgp.Structure(np.ones(9), np.ones(0))),
        "9 units in groups, 0 gates; it has 14 units in groups, 0 gates",
    ),
    "a structure without units": (
        restructured(kgp.Structure(np.zeros(14), np.ones(0))),
        "at least one unit",
    ),
    "no batch to recalibrate on": (
        lambda model, folder: model.recalibrate(X, steps=0),
        "steps=0",
    ),
    "nothing to recalibrate on": (
        lambda model, folder: model.recalibrate(X[:0]),
        "at least one example",
    ),
    "an empty set to recalibrate on": (
        lambda model, folder: model.recalibrate(
            tf.data.Dataset.from_tensor_slices(X[:0]).batch(4)
        ),
        "at least one batch",
    ),
    "a file of another model": (
        loaded(another_models, "m.weights.h5"),
        "(?s)Expected.*Received",
    ),
    "a file of a plain model": (
        loaded(plain_models, "m.weights.h5"),
        "(?s)Expected.*Received",
    ),
    "half a file": (loaded(cut_in_half, "m.weights.h5"), "truncated|open"),
    "an empty file": (loaded(empty_file, "m.weights.h5"), "open"),
    "no file": (loaded(no_file, "m.weights.h5"), "No such file"),
    "a file of a newer version": (newer_keras_file, "newer version"),
    "a file of the old format": (saved("m.h5"), r"\.keras.*compact\(\)"),
    "a folder that does not exist": (
        saved("no/such/m.keras"),
        "No such file or directory",
    ),
    "int8 while growing": (
        lambda model, folder: model.quantize("int8"),
        r"compact\(\)",
    ),
    "a format that is not known": (
        lambda model, folder: model.export(str(folder / "m"), format="odd"),
        "format='odd'",
    ),
    "an optimizer with factored state": (
        lambda model, folder: (
            compile_model(model, "adafactor"),
            fit(model),
        ),
        "optimizer=Adafactor",
    ),
}


@pytest.fixture(scope="module")
def growing():
    """One model for all: whatever is refused changes nothing."""
    model = compile_model(grow(dense(norm="batch")), "adam")
    fit(model, epochs=2, growth_epochs=6)
    return model


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_by_a_message_and_nothing_is_touched(
    what, growing, tmp_path
):
    act, message = REFUSED[what]
    model = growing
    structure, epochs = model.structure, list(model.ledger.epochs)
    before = [v.numpy() for v in model.variables]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ValueError, OSError), match=message):
            act(model, tmp_path)
    assert model.structure == structure
    assert_same_bits(before, model.variables)
    assert model.ledger.epochs == epochs
    if model.optimizer.name != "adam":
        compile_model(model, "adam")


def test_after_all_that_was_refused_training_goes_on(growing):
    assert fit(growing, epochs=4, growth_epochs=6)["settled"][-1] == 1.0


MODELS = {
    "a path": (lambda: kgp.growable("m.keras", HALF), "`model` must be a"),
    "a layer": (lambda: kgp.growable(layers.Dense(3), HALF), "of type Dense"),
    "nothing": (lambda: kgp.growable(None, HALF), "model=None"),
    "one that grows": (lambda: kgp.growable(grow(dense()), HALF), "already"),
    "one without shapes": (
        lambda: kgp.growable(keras.Sequential([layers.Dense(3)]), HALF),
        "not built",
    ),
    "one where nothing can grow": (
        lambda: kgp.growable(
            keras.Sequential([keras.Input((4,)), layers.Dense(3)]), HALF
        ),
        "Nothing of model.*can grow",
    ),
    "a budget of nothing": (
        lambda: grow(dense(), kgp.Budget(flops=1e-9)),
        "cannot be met.*can be 0.0849 to 1.0",
    ),
    "an infinite budget": (
        lambda: kgp.Budget(flops=float("inf")),
        "flops=inf",
    ),
    "a time without a device": (
        lambda: kgp.Budget(latency=0.5),
        "profile=None",
    ),
    "a seed that is text": (lambda: grow(dense(), seed="x"), "seed='x'"),
    "a seed below zero": (lambda: grow(dense(), seed=-1), "seed=-1"),
    "a broken seed": (lambda: grow(dense(), seed=1.5), "seed=1.5"),
    "a structure of text": (lambda: kgp.Structure("a", "b"), "units='a'"),
    "a structure of two axes": (
        lambda: kgp.Structure(np.ones((2, 2)), []),
        "must be a vector of booleans",
    ),
    "a structure of NaN": (
        lambda: kgp.Structure([np.nan], []),
        "must be a vector of booleans",
    ),
}


@pytest.mark.parametrize("what", MODELS)
def test_it_is_no_model_that_can_grow(what):
    make, message = MODELS[what]
    with pytest.raises(ValueError, match=message):
        make()


# What goes on all the same.


def test_no_epoch_is_no_error_and_changes_nothing():
    model = compile_model(grow(dense()))
    before, structure = model.get_weights(), model.structure
    assert fit(model, epochs=0) == {}
    assert_same_bits(before, model.weights)
    assert model.structure == structure and not model.settled


def test_one_class_grows_to_the_budget():
    model = compile_model(grow(dense()), "adam")
    assert fit(model, X, 0 * Y, epochs=6)["flops"][-1] <= 0.5


def test_batches_of_one_example_grow_to_the_budget():
    model = compile_model(grow(conv_chain()), "adam")
    x = RANDOM.normal(size=(8, 6, 6, 2)).astype("float32")
    history = fit(model, x, Y[:8], epochs=6, batch_size=1)
    assert history["flops"][-1] <= 0.5 and np.isfinite(history["loss"]).all()


def test_the_whole_network_as_a_budget_is_reached():
    model = compile_model(grow(dense(), kgp.Budget(flops=1.0)), "adam")
    assert fit(model, epochs=6)["flops"][-1] == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_are_no_numbers_stop_the_growing_not_the_model(bad):
    model = compile_model(grow(dense()), "sgd")
    good = model.get_weights()
    with pytest.raises(FloatingPointError, match="loss was not finite"):
        fit(model, np.full_like(X, bad))
    assert model.structure == good.moment.structure
    model.set_weights(good)
    assert fit(model, epochs=4)["settled"][-1] == 1.0


@pytest.mark.parametrize("form", ["empty", "used_up"])
def test_an_epoch_without_a_step_does_not_count(form):
    model = compile_model(grow(dense()), "adam")
    batches = iter([] if form == "empty" else [(X[:16], Y[:16])] * 2)
    specs = tf.TensorSpec((None, 5)), tf.TensorSpec((None,), "int64")
    data = tf.data.Dataset.from_generator(
        lambda: batches, output_signature=specs
    )
    with pytest.warns(UserWarning, match="had no training step"):
        model.fit(data, epochs=5, verbose=0)
    assert not model.settled
    assert len(model.ledger.epochs) == (form == "used_up")
    assert fit(model, epochs=5)["settled"][-1] == 1.0


def test_an_error_of_keras_tells_what_the_model_takes():
    model = compile_model(grow(dense()), "adam")
    data = tf.data.Dataset.from_tensors((X[:, :3], Y))
    with pytest.raises(ValueError) as caught:
        model.fit(data, epochs=2, verbose=0)
    if hasattr(caught.value, "__notes__"):  # since Python 3.11
        (note,) = caught.value.__notes__
        assert "takes (None, 5) of float32 and returns (None, 3)" in note
    assert fit(model, epochs=4)["settled"][-1] == 1.0


def test_a_read_only_folder_leaves_the_old_file(tmp_path, monkeypatch):
    model = grow(dense())
    path = tmp_path / "m.keras"
    model.save(path)
    before = path.read_bytes()

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    # Who runs tests as root may write everywhere.
    monkeypatch.setattr(zipfile.ZipFile, "writestr", refuse)
    with pytest.raises(OSError, match="Permission denied"):
        model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.keras"]

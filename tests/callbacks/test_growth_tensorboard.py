"""What TensorBoard will read, from the files that it reads."""

import importlib.util

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp
from tests.networks import compile_model
from tests.networks import examples
from tests.networks import grow
from tests.networks import residual

pytest.importorskip("matplotlib")
pytest.importorskip("tensorboard")


def written(folder, run):
    """Values by tag and step that are in the files of a run."""
    found = {}
    for path in sorted((folder / run).glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                array = tf.make_ndarray(value.tensor)
                found.setdefault(value.tag, {})[event.step] = array
    return found


@pytest.fixture
def model():
    return compile_model(grow(residual(filters=8)), metrics=["accuracy"])


def test_all_that_the_books_tell_is_written(model, tmp_path):
    x, y = examples(model)
    board = kgp.callbacks.GrowthTensorBoard(tmp_path)
    history = model.fit(x, y, 16, epochs=6, verbose=0, callbacks=[board])
    growth = written(tmp_path, "growth")
    records = {record["epoch"]: record for record in model.ledger.epochs}
    for name in ("cost", "flops", "params", "price"):
        values = growth[f"growth/{name}"]
        assert {*values} == {*range(6)}
        for epoch, value in values.items():
            assert value == pytest.approx(records[epoch][name])
    targets = written(tmp_path, "schedule")["growth/cost"]
    for epoch, value in targets.items():
        assert value == pytest.approx(records[epoch]["target"])
    for index, name in enumerate(model.widths):
        for epoch, value in growth[f"widths/{name}"].items():
            assert value == records[epoch]["units"][index]
    spent = growth["growth/training_flops"][5]
    assert spent == pytest.approx(model.ledger.relative_training_flops())
    assert growth["growth/gated_layers"][5] == sum(model.structure.gates)
    # And what `keras.callbacks.TensorBoard` writes.
    losses = written(tmp_path, "train")["epoch_loss"]
    assert losses[5] == pytest.approx(history.history["loss"][5])


def test_the_structure_is_shown_when_it_has_changed(model, tmp_path):
    x, y = examples(model)
    structures = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            structures.append(self.model.structure)

    callbacks = [Keep(), kgp.callbacks.GrowthTensorBoard(tmp_path)]
    model.fit(x, y, 16, epochs=6, verbose=0, callbacks=callbacks)
    changed = {0} | {
        epoch
        for epoch in range(1, 6)
        if structures[epoch] != structures[epoch - 1]
    }
    growth = written(tmp_path, "growth")
    # Two tags: under one, TensorBoard shows the first of two kinds only.
    assert {*growth["structure/picture"]} == changed
    assert {*growth["structure/table"]} == changed
    picture = growth["structure/picture"][0]
    width, height, image = int(picture[0]), int(picture[1]), picture[2]
    pixels = tf.io.decode_png(image).numpy()
    assert pixels.shape[:2] == (height, width) and np.ptp(pixels) > 100


def test_without_pictures_there_is_the_table_alone(model, tmp_path):
    x, y = examples(model)
    board = kgp.callbacks.GrowthTensorBoard(tmp_path, pictures=False)
    model.fit(x, y, 16, epochs=2, verbose=0, callbacks=[board])
    growth = written(tmp_path, "growth")
    assert "structure/picture" not in growth
    for text in growth["structure/table"].values():
        assert "Budget(flops=0.5)" in str(text)


def test_inside_another_model_the_growing_one_is_found(tmp_path):
    student = grow(residual(filters=8))
    outer = keras.Sequential([student, keras.layers.Softmax()])
    outer.compile("sgd", "sparse_categorical_crossentropy")
    x, y = examples(student)
    board = kgp.callbacks.GrowthTensorBoard(tmp_path, pictures=False)
    grows = kgp.callbacks.Grow(student)
    outer.fit(x, y, 16, epochs=4, verbose=0, callbacks=[grows, board])
    costs = written(tmp_path, "growth")["growth/cost"]
    assert costs[3] == pytest.approx(student.ledger.epochs[-1]["cost"])


def test_a_plain_model_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    board = kgp.callbacks.GrowthTensorBoard(tmp_path)
    with pytest.raises(ValueError, match="GrowPruneModel"):
        model.fit(np.ones((4, 2)), np.ones(4), verbose=0, callbacks=[board])


def test_without_tensorboard_it_says_what_to_install(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "tensorboard" else find(name),
    )
    with pytest.raises(ImportError, match=r"install tensorboard .*\[viz\]"):
        kgp.callbacks.GrowthTensorBoard("logs")

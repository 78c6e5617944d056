"""Growing inside an outer model's `fit`: Distiller, parts of models."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_growprune as kgp
from tests.loops import ENTRIES
from tests.loops import EPOCHS
from tests.loops import LOSS
from tests.loops import Outer
from tests.loops import fit_outer
from tests.loops import nested
from tests.loops import train_in_fit
from tests.loops import two_alike
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import examples
from tests.networks import grow
from tests.networks import head
from tests.networks import residual


def teacher():
    inputs = keras.Input((6, 6, 2))
    return keras.Model(inputs, head(layers.Conv2D(4, 3)(inputs)))


def distiller(student, the_teacher, loss=None):
    if not hasattr(keras, "distillation"):
        pytest.skip("Keras has no distillation")
    loss = loss or keras.distillation.LogitsDistillation()
    result = keras.distillation.Distiller(
        the_teacher, student, distillation_losses=loss
    )
    result.compile(keras.optimizers.Adam(0.01), loss=LOSS)
    return result


def test_a_student_grows_in_a_distiller():
    student, the_teacher = grow(residual(6)), teacher()
    outer = distiller(student, the_teacher)
    given = [v.numpy() for v in the_teacher.weights]
    before = student.widths
    history = fit_outer(outer, student)
    assert ENTRIES < set(history) and "student_loss" in history
    assert student.settled and student.widths != before
    assert history["settled"] == [0, 0, 0, 1, 1, 1]
    assert history["cost"][0] < history["cost"][-1] <= 0.5
    assert len(set(history["val_loss"])) == EPOCHS
    x, _ = examples(student)
    small = student.compact().predict(x, verbose=0)
    np.testing.assert_allclose(outer.predict(x, verbose=0), small, atol=1e-5)
    for one, other in zip(the_teacher.weights, given, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_student_grows_while_its_features_are_distilled():
    student, the_teacher = grow(conv_chain((4, 6))), teacher()
    names = [
        [e for e in m.layers if isinstance(e, layers.GlobalAveragePooling2D)][0]
        for m in (the_teacher, student)
    ]
    if not hasattr(keras, "distillation"):
        pytest.skip("Keras has no distillation")
    loss = keras.distillation.FeatureDistillation(
        loss=lambda one, other: keras.ops.square(
            keras.ops.mean(one) - keras.ops.mean(other)
        ),
        teacher_layer_name=names[0].name,
        student_layer_name=names[1].name,
    )
    history = fit_outer(distiller(student, the_teacher, loss), student)
    assert student.settled and history["cost"][-1] <= 0.5


@pytest.mark.sampled(2)
@pytest.mark.parametrize("wrap", [Outer, nested])
def test_a_part_of_an_outer_model_grows(wrap):
    model = grow(conv_chain((4, 6)))
    outer = wrap(model)
    outer.compile(keras.optimizers.Adam(0.01), LOSS)
    before = model.widths
    history = fit_outer(outer, model)
    assert model.settled and model.widths != before
    assert 0 < history["cost"][-1] <= 0.5
    assert history["loss"][-1] < history["loss"][0]
    kernel = model.layers[1].kernel
    old = kernel.numpy()
    fit_outer(outer, model, epochs=1, callbacks=[])
    assert np.all(kernel.numpy() != old)


@pytest.mark.slow
def test_an_outer_model_decides_as_fit_does():
    mine, theirs = two_alike(lambda: dense(norm="batch"))
    expected = train_in_fit(theirs, keras.optimizers.Adam(0.01))
    inputs = keras.Input((5,))
    outer = keras.Model(inputs, mine(inputs))
    outer.compile(keras.optimizers.Adam(0.01), LOSS)
    x, y = examples(mine)
    history = outer.fit(
        x,
        y,
        batch_size=16,
        epochs=EPOCHS,
        verbose=0,
        shuffle=False,
        callbacks=[kgp.callbacks.Grow(mine)],
    ).history
    np.testing.assert_allclose(history["loss"], expected.losses, atol=1e-5)
    assert history["cost"] == [log["cost"] for log in expected.logs]
    assert mine.structure == theirs.structure


@pytest.mark.slow
def test_an_outer_model_is_not_traced_anew_for_other_widths():
    model = grow(conv_chain((4, 6)))
    outer = Outer(model)
    outer(examples(model)[0])
    outer.compile("sgd", LOSS)
    history = fit_outer(outer, model)
    assert len(set(history["cost"])) > 2
    assert outer.traces == 1
    ledger = model.ledger
    assert ledger.total("traces") == 1
    assert 0 < ledger.total("retrace_seconds")


@pytest.mark.slow
def test_an_outer_fit_in_pieces():
    whole, pieces = two_alike(dense)
    structures = []
    for model, calls in ((whole, [EPOCHS]), (pieces, [2, 4])):
        inputs = keras.Input((5,))
        outer = keras.Model(inputs, model(inputs))
        outer.compile(keras.optimizers.Adam(0.01), LOSS)
        done = 0
        for epochs in calls:
            callback = kgp.callbacks.Grow(model, growth_epochs=EPOCHS)
            x, y = examples(model)
            outer.fit(
                x,
                y,
                batch_size=16,
                initial_epoch=done,
                epochs=done + epochs,
                shuffle=False,
                verbose=0,
                callbacks=[callback],
            )
            done += epochs
        structures.append(model.structure)
    assert pieces.settled and structures[0] == structures[1]


@pytest.mark.slow
def test_an_own_loop_over_an_outer_models_batches():
    model = grow(conv_chain((4, 6)))
    outer = nested(model)
    outer.compile(keras.optimizers.Adam(0.01), LOSS)
    x, y = examples(model)
    outer.train_on_batch(x, y)  # traced before anybody spoke of growing
    for _ in range(EPOCHS):
        model.begin_epoch(EPOCHS, outer.optimizer)
        outer.train_on_batch(x, y)
        model.end_epoch()
    assert model.settled
    assert model.ledger.total("examples") == EPOCHS * 32
    small = model.compact().predict(x, verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), small, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("where", [0, 1])
def test_two_parts_of_one_outer_model_grow(where):
    models = [grow(conv_chain((4, 6)))]
    models.insert(where, grow(residual(6), kgp.Budget(flops=0.03)))
    inputs = keras.Input((6, 6, 2))
    outputs = layers.Add()([model(inputs) for model in models])
    outer = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.Adam(0.01)
    outer.compile(optimizer, LOSS)
    own = optimizer.apply
    x, y = examples(models[0])
    callbacks = [kgp.callbacks.Grow(model) for model in models]
    before = [model.structure for model in models]
    outer.fit(x, y, epochs=EPOCHS, verbose=0, callbacks=callbacks)
    assert all(model.settled for model in models)
    assert not models[where].structure.gates.any()  # a block has left it
    assert all(m.structure != b for m, b in zip(models, before))
    assert optimizer.apply == own


@pytest.mark.slow
def test_an_outer_fit_that_was_broken_off_goes_on():
    model = grow(conv_chain((4, 6)))
    outer = nested(model)
    outer.compile(keras.optimizers.Adam(0.01), LOSS)
    grow_there = kgp.callbacks.Grow(model)

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if len(model.ledger.epochs) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_outer(outer, model, callbacks=[grow_there, Interrupt()])
    fit_outer(outer, model, epochs=4, callbacks=[grow_there])
    assert model.settled and len(model.ledger.epochs) == 6
    x, _ = examples(model)
    assert outer.predict(x, verbose=0).shape == (32, 3)

"""Where others train and nothing can grow, they are told."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp
from tests.loops import EPOCHS
from tests.loops import HOW
from tests.loops import LOSS
from tests.loops import Outer
from tests.loops import batches
from tests.loops import fit_outer
from tests.loops import nested
from tests.loops import train_in_loop
from tests.loops import training_step
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow


def warnings_of(function):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(w.message) for w in caught if "from outside" in str(w.message)]


@pytest.mark.parametrize("how", ["eager", "tf.function"])
def test_a_loop_that_says_nothing_is_told_once(how):
    model = grow(conv_chain((4, 6)))
    optimizer = keras.optimizers.SGD(0.01)
    step = HOW[how](model, training_step(model, optimizer))

    def train():
        for x, y in batches(model) * 2:
            step(x, y)

    (text,) = warnings_of(train)
    assert model.name in text and "kgp.callbacks.Grow" in text
    assert "begin_epoch" in text and "settle()" in text
    assert not warnings_of(train)


def test_an_outer_fit_without_the_callback_is_told_once():
    model = grow(conv_chain((4, 6)))
    outer = Outer(model)
    outer.compile("sgd", LOSS)
    before = model.structure
    run = lambda: fit_outer(outer, model, epochs=2, callbacks=[])  # noqa: E731
    assert len(warnings_of(run)) == 1
    assert model.structure == before
    assert not warnings_of(run)


def test_an_outer_fit_after_one_with_the_callback_is_told():
    model = grow(conv_chain((4, 6)))
    outer = nested(model)
    outer.compile("sgd", LOSS)
    grow_there = kgp.callbacks.Grow(model, growth_epochs=9)
    assert not warnings_of(
        lambda: fit_outer(outer, model, epochs=1, callbacks=[grow_there])
    )
    run = lambda: fit_outer(outer, model, epochs=1, callbacks=[])  # noqa: E731
    assert len(warnings_of(run)) == 1


@pytest.mark.slow
def test_nobody_is_told_without_a_reason():
    model = grow(conv_chain((4, 6)))
    x, y = examples(model)
    compile_model(model, "sgd")

    def use():
        nested(model)
        fit(model, epochs=2, growth_epochs=9)
        model.evaluate(x, y, verbose=0)
        model.predict(x, verbose=0)
        model(x, training=True)  # as for Monte Carlo dropout
        with tf.GradientTape() as tape:
            inputs = tf.constant(x)
            tape.watch(inputs)
            outputs = model(inputs)  # a saliency map
        tape.gradient(outputs, inputs)

    assert not warnings_of(use)
    outer = Outer(grow(conv_chain((4, 6))))
    outer.compile("sgd", LOSS)
    assert not warnings_of(lambda: fit_outer(outer, outer.part))
    settled = grow(conv_chain((4, 6)))
    settled.settle()
    outer = nested(settled)
    outer.compile("sgd", LOSS)
    assert not warnings_of(lambda: fit_outer(outer, settled, callbacks=[]))


@pytest.mark.parametrize(
    "arguments,message",
    [
        (dict(epochs=0), "`epochs` must be a positive integer"),
        (dict(epochs=2.5), "Received: epochs=2.5"),
        (dict(epochs=True), "Received: epochs=True"),
        (dict(epochs=3, steps=0), "`steps` must be a positive integer"),
        (dict(epochs=3), "`optimizer` must be"),
        (dict(epochs=3, optimizer="adam"), "Received: optimizer='adam'"),
        (
            dict(epochs=3, optimizer=keras.optimizers.Adafactor),
            "Received: optimizer=Adafactor",
        ),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_touched(
    arguments, message
):
    model = grow(dense())
    before = [v.numpy() for v in model.weights]
    if isinstance(arguments.get("optimizer"), type):
        arguments = {**arguments, "optimizer": arguments["optimizer"]()}
    with pytest.raises(ValueError, match=message):
        model.begin_epoch(**arguments)
    for one, other in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(one, other)
    train_in_loop(model, keras.optimizers.SGD(0.01))
    assert model.settled


def test_an_optimizer_that_does_not_train_the_model_is_refused():
    model = grow(dense())
    optimizer = keras.optimizers.SGD(0.01)
    optimizer.build(model.trainable_variables[:2])
    with pytest.raises(ValueError, match=r"built without.*4 missing"):
        model.begin_epoch(3, optimizer)


def test_a_second_optimizer_with_state_is_refused():
    model = compile_model(grow(dense()))
    fit(model, epochs=1, growth_epochs=9)
    with pytest.raises(ValueError, match="an optimizer of its own"):
        model.begin_epoch(3, keras.optimizers.SGD(0.01))
    compile_model(model, keras.optimizers.SGD(0.01, momentum=0.9))
    train_in_loop(model, keras.optimizers.Adam(0.01), first=1, last=2)
    # `fit` has its own again, which follows from here on.
    before = model.structure
    fit(model, epochs=4, growth_epochs=EPOCHS)
    assert model.settled and model.structure != before


def test_an_optimizer_that_missed_a_change_of_shape_is_refused():
    model = grow(dense())
    first = keras.optimizers.Adam(0.01)
    train_in_loop(model, first, last=1)
    train_in_loop(model, keras.optimizers.Adam(0.01), first=1)
    with pytest.raises(ValueError, match="has other shapes"):
        model.begin_epoch(EPOCHS, first)


def test_what_is_out_of_order_is_refused():
    model = grow(dense())
    with pytest.raises(ValueError, match="`end_epoch`.*without an epoch"):
        model.end_epoch()
    with pytest.raises(ValueError, match="`begin_step`.*without an epoch"):
        model.begin_step(0)
    train_in_loop(model, keras.optimizers.SGD(0.01), last=1)
    with pytest.raises(ValueError, match="`end_epoch`.*without an epoch"):
        model.end_epoch()
    compile_model(model)
    model.begin_epoch(EPOCHS)
    fit(model, epochs=1, growth_epochs=EPOCHS)
    with pytest.raises(ValueError, match="`end_epoch`.*without an epoch"):
        model.end_epoch()

    class Begin(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            model.begin_epoch(3, model.optimizer)

    with pytest.raises(ValueError, match="`begin_epoch`.*inside `fit`"):
        fit(model, callbacks=[Begin()])
    with pytest.raises(ValueError, match="grows in its own `fit`"):
        fit(model, callbacks=[kgp.callbacks.Grow(model)])
    with pytest.raises(ValueError, match="`model` must be"):
        kgp.callbacks.Grow(keras.Sequential())


def test_steps_that_nobody_saw_are_refused():
    model = grow(dense())
    step = tf.function(
        training_step(model, other := keras.optimizers.SGD(0.01))
    )
    x, y = batches(model)[0]
    model.begin_epoch(EPOCHS, keras.optimizers.SGD(0.01))
    other.build(model.trainable_variables)
    step(x, y)
    with pytest.raises(ValueError, match="No training step of model"):
        model.end_epoch()


def test_a_loss_that_was_not_finite_stops_an_own_loop():
    model = grow(dense())
    optimizer = keras.optimizers.SGD(0.01)
    before = model.structure
    step = training_step(model, optimizer)
    model.begin_epoch(EPOCHS, optimizer)
    x, y = batches(model)[0]
    step(x, y)
    model.end_epoch(loss=float("nan"))
    with pytest.raises(FloatingPointError, match="not finite"):
        model.begin_epoch(EPOCHS, optimizer)
    assert model.structure == before


def test_a_gate_optimizer_is_for_fit_alone():
    model = grow(dense(), rule="paper")
    compile_model(model, "sgd", gate_optimizer="sgd")
    with pytest.raises(ValueError, match="gate_optimizer"):
        model.begin_epoch(3, keras.optimizers.SGD(0.01))


def test_a_model_that_others_train_is_told_how_it_could_grow():
    model = grow(conv_chain((4, 6)))
    outer = nested(model)
    outer.compile("sgd", LOSS)
    fit_outer(outer, model, epochs=1, callbacks=[])
    with pytest.raises(ValueError, match="kgp.callbacks.Grow"):
        model.settle()

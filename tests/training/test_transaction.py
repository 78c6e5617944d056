"""A change of structure happens whole or not at all."""

import sys

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from keras_growprune.structure import Structure
from keras_growprune.training.saving import checkpoint
from keras_growprune.training.transaction import Transaction
from tests.networks import compile_model
from tests.networks import examples
from tests.networks import grow
from tests.networks import randomize


def test_steps_are_undone_from_the_last_to_the_first():
    done = []
    with pytest.raises(KeyError), Transaction() as transaction:
        transaction.at_the_end(lambda: done.append("end"))
        transaction.do(lambda: done.append(1), undo=lambda: done.append(-1))
        transaction.do(lambda: done.append(2), undo=lambda: done.append(-2))
        transaction.do(lambda: {}["no"], undo=lambda: done.append(-3))
    assert done == [1, 2, -3, -2, -1]


def test_what_comes_to_its_end_is_not_undone():
    done = []
    with Transaction() as transaction:
        transaction.at_the_end(lambda: done.append("end"))
        transaction.do(lambda: done.append(1), undo=lambda: done.append(-1))
    assert done == [1, "end"]


def network():
    """A residual network with a recurrent end: all kinds of weights."""
    inputs = keras.Input((4, 4, 2))
    convolution = dict(kernel_size=3, padding="same", use_bias=False)
    x = kgp.layers.GrowableConv2D(4, **convolution)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    y = kgp.layers.GrowableConv2D(4, **convolution)(x)
    x = kgp.layers.GatedAdd()([x, keras.layers.BatchNormalization()(y)])
    x = keras.layers.Reshape((16, 4))(x)
    x = kgp.layers.GatedLSTM(3)(x)
    return inputs, keras.layers.Dense(3)(x)


def everything(model):
    """All that a change may touch, as a flat list."""
    arrays = checkpoint.to_arrays(model._growth)
    values = [np.array(arrays[key]) for key in sorted(arrays)]
    values += [v.numpy() for v in model.variables]
    values += [v.numpy() for v in model.optimizer.variables]
    values += [np.array(v.shape) for v in model.variables]
    told = [
        [getattr(layer, name, None) for name in ("filters", "units")]
        + [getattr(layer.input_spec, "axes", None), layer.output.shape]
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    random = model._growth.state.random.bit_generator.state
    functions = (model.train_function, model.predict_function)
    return values, (told, random, functions, model.settled)


def assert_untouched(model, before, x, outputs):
    values, told = everything(model)
    assert told == before[1]
    for one, other in zip(values, before[0], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(model.predict(x, verbose=0), outputs)


class Interrupted(BaseException):
    """What Ctrl-C raises, raised at a line of ours."""


def interrupt_at(line_number, function):
    """Runs a function; raises at the n-th line of the library that it runs.

    Returns:
        Whether there were that many lines.
    """
    seen = 0

    def trace(frame, event, argument):
        name = frame.f_code.co_filename
        if "keras_growprune" not in name or "/tests/" in name:
            return None
        if frame.f_code.co_name == "__exit__":
            return None  # a transaction is over, or is being undone
        return count

    def count(frame, event, argument):
        nonlocal seen
        if event == "line":
            seen += 1
            if seen == line_number:
                sys.settrace(None)
                raise Interrupted
        return count

    sys.settrace(trace)
    try:
        function()
    except Interrupted:
        return True
    finally:
        sys.settrace(None)
    return False


def ready(rule="saliency"):
    """A model with units and a block that were never in the network."""
    schedule = kgp.GrowthSchedule(0.4, 1.0, 0.5, 0.9)
    model = grow(
        network(), kgp.Budget(params=0.6), schedule=schedule, rule=rule
    )
    units = np.array([1, 1, 0, 0, 1, 1, 0], bool)
    model.restructure(Structure(units, [False]))
    compile_model(model, keras.optimizers.SGD(0.1, momentum=0.9))
    x, y = examples(model, 8)
    model.train_on_batch(x, y)
    randomize(model, np.random.default_rng(0))
    return model, x, y


def copy_to_host(model):
    """As a change begins: the host then knows what is on the device."""
    network = model._growth.network
    for index, weight in enumerate(network.blueprint.map.weights):
        entries = network.blueprint.map.indices(weight, network.structure)
        network.store.read(index, entries)


def changes(model):
    """Calls that change the structure of a `ready` model."""
    units = np.array([0, 1, 1, 1, 0, 1, 1], bool)
    growth = model._growth
    growth.state.period, growth.state.periods = 4, 10
    return {
        "widths": lambda: model.restructure(Structure(units, [False])),
        "a block": lambda: model.restructure(Structure(units, [True])),
        "deciding": growth.begin_period,
        "settling": model.settle,
    }


def check_every(step, name, rule, first=1):
    """Breaks a change off at many lines; then lets it happen.

    Args:
        step: Distance of these lines.
        name: Which of `changes`.
        rule: The growth rule.
        first: The first line.
    """
    model, x, y = ready(rule)
    change = changes(model)[name]
    outputs = model.predict(x, verbose=0)
    copy_to_host(model)
    before, structure = everything(model), model.structure
    line, broken_off = first, 0
    while interrupt_at(line, change):
        if model.structure != structure:
            break  # it was done, and what follows it was broken off
        assert_untouched(model, before, x, outputs)
        line, broken_off = line + step, broken_off + 1
    assert broken_off > 5
    change()
    assert model.structure != structure
    compact = model.compact()
    found = model.predict(x, verbose=0)
    np.testing.assert_allclose(compact(x), found, rtol=1e-4, atol=1e-5)
    assert np.isfinite(model.train_on_batch(x, y)).all()


RULES = ["saliency", "paper"]
CHANGES = ["widths", "a block", "deciding", "settling"]


@pytest.mark.parametrize(
    "rule", ["saliency", pytest.param("paper", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", CHANGES)
def test_broken_off_at_any_line_all_is_as_it_was(name, rule):
    check_every(211, name, rule)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1, 8))
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", CHANGES)
def test_broken_off_at_every_line_all_is_as_it_was(name, rule, first):
    check_every(7, name, rule, first)

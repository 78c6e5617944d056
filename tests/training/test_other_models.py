"""Other models that share layers: kept right, or refused before training."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_growprune as kgp
from keras_growprune.structure import Structure
from tests.networks import FULL
from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import mark_as_lived
from tests.networks import randomize
from tests.networks import residual
from tests.networks import with_units


def test_a_feature_extractor_answers_from_the_present_network():
    model = grow(conv_chain((4, 6)))
    extractor = keras.Model(model.inputs, model.layers[-2].output)
    compile_model(model, "adam")
    x, _ = examples(model)
    extractor.predict(x, verbose=0)  # traced at the old shape
    before = model.widths
    fit(model, epochs=2)
    assert model.widths != before
    features = extractor.predict(x, verbose=0)
    assert features.shape == (32, list(model.widths.values())[1])
    kernel, bias = model.layers[-1].get_weights()
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(features @ kernel + bias, expected, atol=1e-5)


def test_a_feature_extractor_is_right_or_refused_when_a_branch_goes():
    model = grow(residual(4))
    mark_as_lived(model)
    randomize(model, np.random.default_rng(0))
    extractor = keras.Model(model.inputs, model.outputs)
    off = Structure(model.structure.units, [False])
    x, _ = examples(model)
    expected = np.array(model(x))
    model.restructure(off)
    assert np.abs(np.array(model(x)) - expected).max() > 0.01
    try:
        answer = extractor.predict(x, verbose=0)
    except ValueError as error:
        assert "out of the network at present" in str(error)
    else:
        np.testing.assert_allclose(answer, model(x), atol=1e-6)


def test_an_outer_model_answers_from_the_present_network():
    model = grow(conv_chain((4, 6)))
    inputs = keras.Input((6, 6, 2))
    outer = keras.Model(inputs, layers.Softmax()(model(inputs)))
    x, _ = examples(model)
    outer.predict(x, verbose=0)
    model.restructure(with_units(model, [0, 1, 3], [0, 5]))
    expected = layers.Softmax()(model(x))
    answer = outer.predict(x, verbose=0)
    np.testing.assert_allclose(answer, expected, atol=1e-6)


class Holder(keras.Model):
    """A subclassed model that calls another one."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def call(self, inputs):
        return self.part(inputs)


def nested(model):
    inputs = keras.Input(model.inputs[0].shape[1:])
    return keras.Model(inputs, model(inputs))


@pytest.mark.parametrize(
    "make",
    [lambda m: keras.Model(m.inputs, m.outputs), nested, Holder],
    ids=["of its layers", "around it", "subclassed"],
)
def test_a_model_made_between_two_restructurings_follows_the_second(make):
    model = grow(conv_chain((4, 6)))
    x, _ = examples(model)
    model.restructure(with_units(model, [0, 1, 3], [0, 5]))
    model.restructure(with_units(model, [0, 1], [0, 5]))
    other = make(model)
    other.predict(x, verbose=0)
    model.restructure(with_units(model, [1, 2, 3], [1, 2, 3]))
    answer = other.predict(x, verbose=0)
    np.testing.assert_allclose(answer, model.predict(x, verbose=0), atol=1e-6)


def test_settling_that_is_refused_leaves_the_soft_gates():
    model = grow(conv_chain((4, 6)), rule="paper")
    other = keras.Model(model.inputs, model.outputs, name="other")
    compile_model(other, "adam")
    compile_model(model, "adam")
    x, y = examples(model)
    model.fit(x, y, epochs=1, growth_epochs=9, verbose=0)
    other.train_on_batch(x, y)
    before = [v.numpy() for v in model.variables]
    with pytest.raises(ValueError, match="`other` trains layers of model"):
        model.settle()
    assert not model.settled
    assert_same_bits(before, model.variables)


def test_a_model_that_trains_the_same_layers_is_refused_by_name():
    model = grow(conv_chain((4, 6)))
    other = keras.Model(model.inputs, model.outputs, name="other")
    compile_model(other, "adam")
    x, y = examples(model)
    other.train_on_batch(x, y)
    compile_model(model, "adam")
    before = [v.numpy() for v in model.variables]
    structure = model.structure
    with pytest.raises(ValueError, match="`other` trains layers of model"):
        model.restructure(with_units(model, [0], [0]))
    assert_same_bits(before, model.variables)
    assert model.structure == structure
    with pytest.raises(ValueError, match="`other` trains layers of model"):
        fit(model, epochs=2)


def test_two_growing_models_cannot_share_layers():
    inputs, outputs = conv_chain((4, 6))
    first = grow((inputs, outputs), name="first")
    before = first.widths
    with pytest.raises(ValueError, match="first"):
        grow((inputs, outputs), kgp.Budget(flops=1.0), schedule=FULL)
    assert first.widths == before


def test_a_layer_that_another_graph_uses_is_refused():
    inputs = keras.Input((5,))
    shared = kgp.layers.GrowableDense(6, name="shared")
    outputs = layers.Dense(3)(shared(inputs))
    elsewhere = keras.Input((5,))
    shared(elsewhere)
    with pytest.raises(ValueError, match="`shared` changes its width"):
        grow((inputs, outputs))


def test_a_layer_that_reads_a_hidden_tensor_is_refused_by_name():
    inputs = keras.Input((5,))
    hidden = kgp.layers.GrowableDense(6, name="hidden")(inputs)
    layers.Dense(2, name="probe")(hidden)
    outputs = layers.Dense(3)(hidden)
    with pytest.raises(ValueError, match="`hidden`.*by layer `probe`"):
        grow((inputs, outputs))


def test_a_layer_added_after_construction_is_refused_before_restructuring():
    model = compile_model(grow(dense((6, 5))))
    layers.Dense(2, name="probe")(model.layers[2].output)
    before = [v.numpy() for v in model.variables]
    with pytest.raises(ValueError, match="by layer `probe`"):
        model.restructure(with_units(model, [0], [0]))
    assert_same_bits(before, model.variables)


def test_models_on_other_tensors_do_not_matter():
    model = compile_model(grow(dense((6, 5))))
    inputs = keras.Input((5,))
    unrelated = keras.Model(inputs, layers.Dense(1)(inputs))
    unrelated.compile("sgd", "mse")
    unrelated.train_on_batch(np.zeros((2, 5)), np.zeros((2, 1)))
    assert fit(model, epochs=2)["settled"] == [0, 1]


def test_a_growable_layer_alone_trains_like_the_plain_one():
    keras.utils.set_random_seed(0)
    losses = []
    for layer in (kgp.layers.GrowableDense, layers.Dense):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((5,))
        x = layer(6, activation="relu")(inputs)
        model = keras.Model(inputs, layers.Dense(3)(x))
        compile_model(model, "adam")
        losses.append(fit(model, epochs=2)["loss"])
    assert losses[0] == losses[1]


def test_the_compact_network_shares_nothing_with_the_growing_one():
    model = compile_model(grow(residual(4)), "adam")
    small = compile_model(model.compact(), keras.optimizers.SGD(1.0))
    before = [v.numpy() for v in model.variables]
    fit(small, epochs=1)
    assert_same_bits(before, model.variables)
    held = [v.numpy() for v in small.variables]
    fit(model, epochs=2)
    assert_same_bits(held, small.variables)

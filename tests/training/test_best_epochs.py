"""The best epoch of a run comes back with the structure that it had."""

import copy
import pickle
import warnings

import keras
import numpy as np
import pytest
from keras import callbacks

import keras_growprune as kgp
from tests.networks import assert_same_bits
from tests.networks import build_optimizer
from tests.networks import compile_model
from tests.networks import conv_chain
from tests.networks import dense
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import random_network
from tests.networks import random_structure
from tests.networks import randomize


def told(function, text):
    """Whether a warning with some text is given."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return any(text in str(warning.message) for warning in caught)


class Score(callbacks.Callback):
    """Adds a score to the logs: best in one epoch."""

    def __init__(self, best):
        super().__init__()
        self.best, self.outputs, self.weights = best, None, None

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = float(epoch == self.best)
        if epoch == self.best:
            self.outputs = self.model.predict(examples(self.model)[0])
            self.weights = self.model.get_weights()


def stopping():
    return callbacks.EarlyStopping(
        "score", mode="max", patience=99, restore_best_weights=True
    )


@pytest.mark.sampled(3)
@pytest.mark.parametrize("best", [0, 3, 9])
@pytest.mark.parametrize("network", [conv_chain, dense])
def test_early_stopping_brings_the_best_epoch_back(network, best):
    model = compile_model(grow(network()), "adam")
    score = Score(best)
    history = fit(model, epochs=10, callbacks=[score, stopping()])
    assert history["score"] == [float(e == best) for e in range(10)]
    assert_same_bits(score.weights, model.weights)
    np.testing.assert_array_equal(
        model.predict(examples(model)[0], verbose=0), score.outputs
    )
    flops = model._growth.network.fractions()["flops"]
    assert flops == history["flops"][best]


def test_training_goes_on_from_the_best_epoch_to_the_budget():
    model = compile_model(grow(conv_chain()), "adam")
    fit(model, epochs=10, callbacks=[Score(3), stopping()])
    assert not model.settled
    history = fit(model, epochs=4)
    assert model.settled
    assert history["flops"][-1] <= 0.5


@pytest.mark.slow
def test_weights_above_the_budget_are_said_to_be():
    model = compile_model(grow(conv_chain()), "adam")

    def run(best):
        fit(model, epochs=10, callbacks=[Score(best), stopping()])

    assert told(lambda: run(2), "above the budget of 0.5")
    model = compile_model(grow(conv_chain()), "adam")
    assert not told(lambda: run(9), "above the budget")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("seed", range(5))
def test_any_earlier_moment_comes_back_bitwise(seed):
    random = np.random.default_rng(seed)
    model = grow(random_network(seed))
    build_optimizer(model, keras.optimizers.Adam(0.01))
    x, _ = examples(model)
    moments = []
    for _ in range(4):
        model.restructure(random_structure(model, random))
        randomize(model, random)
        outputs = model.predict(x, verbose=0)
        moments.append((model.structure, model.get_weights(), outputs))
    for index in random.permutation(4):
        structure, weights, outputs = moments[index]
        model.set_weights(weights)
        assert model.structure == structure
        assert_same_bits(weights, model.weights)
        again = model.predict(x, verbose=0)
        np.testing.assert_array_equal(again, outputs)


def test_dormant_weights_come_back_too():
    model = grow(dense())
    everything = kgp.Structure(
        np.ones_like(model.structure.units), model.structure.gates
    )
    model.restructure(everything)
    first = model.get_weights()
    small = random_structure(model, np.random.default_rng(0))
    model.restructure(small)
    kept = model.get_weights()
    model.restructure(everything)
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape))
    model.set_weights(kept)
    model.restructure(everything)
    assert_same_bits(first, model.weights)


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda w: pickle.loads(pickle.dumps(w))],
)
def test_copies_of_a_list_of_weights_know_its_structure(copied):
    model = grow(dense())
    structure, weights = model.structure, copied(model.get_weights())
    model.restructure(random_structure(model, np.random.default_rng(3)))
    assert model.structure != structure
    model.set_weights(weights)
    assert model.structure == structure


def test_weights_go_to_another_model_of_the_same_kind():
    first, second = grow(dense(), seed=1), grow(dense(), seed=2)
    first.restructure(random_structure(first, np.random.default_rng(5)))
    second.set_weights(first.get_weights())
    assert second.structure == first.structure
    assert_same_bits(first.weights, second.weights)


def test_a_state_tree_comes_back_with_its_structure():
    model = grow(conv_chain())
    optimizer = build_optimizer(model, keras.optimizers.Adam(0.01))
    fit(model, epochs=1, growth_epochs=9)
    structure, tree = model.structure, model.get_state_tree("numpy_array")
    before = model.get_weights(), [v.numpy() for v in optimizer.variables]
    model.restructure(random_structure(model, np.random.default_rng(3)))
    fit(model, epochs=1, growth_epochs=9)
    assert model.structure != structure
    model.set_state_tree(tree)
    assert model.structure == structure
    assert_same_bits(before[0], model.weights)
    assert_same_bits(before[1], optimizer.variables)


def refused(model, weights, match):
    structure, before = model.structure, model.get_weights()
    with pytest.raises(ValueError, match=match):
        model.set_weights(weights)
    assert model.structure == structure
    assert_same_bits(before, model.weights)


def test_lists_of_other_shapes_are_refused_and_nothing_is_touched():
    model = grow(dense())
    old = model.get_weights()
    model.restructure(random_structure(model, np.random.default_rng(3)))
    refused(model, list(old), "must have the shapes.*of another structure")
    refused(model, model.get_weights()[:-1], "6 weights. Received: 5")
    refused(model, grow(dense((9, 7))).get_weights(), "another network")
    plain = [np.ones(v.shape, "float32") for v in model.weights]
    model.set_weights(plain)  # as in Keras
    assert_same_bits(plain, model.weights)


def kept_best(best, wrap, tmp_path):
    model = compile_model(grow(conv_chain()), "adam")
    path = str(tmp_path / "best.keras")
    checkpoint = callbacks.ModelCheckpoint(
        path, "score", mode="max", save_best_only=True
    )
    score = Score(best)
    fit(model, epochs=10, callbacks=[score, wrap(checkpoint)])
    return keras.models.load_model(path)


@pytest.mark.slow
def test_a_best_file_above_the_budget_is_said_to_be(tmp_path):
    def run(best, wrap=lambda callback: callback):
        kept_best(best, wrap, tmp_path)

    text = "kept epoch 3 as the best in"
    assert told(lambda: run(2), text)
    assert not told(lambda: run(9), "as the best in")
    assert not told(lambda: run(2, kgp.callbacks.OnceSettled), "as the best in")


@pytest.mark.slow
def test_once_settled_a_callback_sees_the_final_structure_only(tmp_path):
    loaded = kept_best(2, kgp.callbacks.OnceSettled, tmp_path)
    assert loaded.settled
    seen = []
    spy = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(logs["settled"]),
        on_train_batch_end=lambda batch, logs: seen.append(None),
        on_train_end=lambda logs: seen.append("end"),
    )
    model = compile_model(grow(conv_chain()), "adam")
    history = fit(model, epochs=10, callbacks=[kgp.callbacks.OnceSettled(spy)])
    settled = int(sum(history["settled"]))
    assert 0 < settled < 10
    assert seen == [None, None, 1.0] * settled + ["end"]


@pytest.mark.slow
def test_early_stopping_waits_until_the_structure_is_settled():
    model = compile_model(grow(conv_chain()), "adam")
    impatient = callbacks.EarlyStopping("score", mode="max", patience=1)
    wrapped = kgp.callbacks.OnceSettled(impatient)
    history = fit(model, epochs=20, callbacks=[Score(0), wrapped])
    assert model.settled
    assert len(history["loss"]) < 20  # then it stops


def test_what_is_no_callback_is_refused():
    with pytest.raises(ValueError, match="must be a `keras.callbacks"):
        kgp.callbacks.OnceSettled("early")

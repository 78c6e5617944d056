import warnings

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

import keras_growprune as kgp
from keras_growprune.layers import GatedAdd
from tests.networks import compile_model

BUDGET = kgp.Budget(params=0.6)


def plain_network(filters=6):
    """A residual network of two blocks."""
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(filters, 3, padding="same", name="stem")(inputs)
    for block in (1, 2):
        y = layers.Conv2D(4, 3, padding="same", name=f"inner_{block}")(x)
        y = layers.BatchNormalization(name=f"norm_{block}")(y)
        y = layers.Conv2D(filters, 3, padding="same", name=f"outer_{block}")(y)
        x = layers.Add(name=f"sum_{block}")([y, x])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return keras.Model(inputs, layers.Dense(3, name="logits")(x))


def train(model, epochs=1, **kwargs):
    random = np.random.default_rng(0)
    x = random.normal(size=(32, *model.input_shape[1:])).astype("float32")
    y = random.integers(0, 3, 32)
    if not model.compiled:
        compile_model(model)
    return model.fit(x, y, epochs=epochs, verbose=0, **kwargs).history


def test_layers_become_growable_and_sums_gated():
    model = kgp.growable(plain_network(), BUDGET, seed=0)
    kinds = {layer.name: type(layer) for layer in model.layers}
    assert kinds["stem"] is kgp.layers.GrowableConv2D
    assert kinds["sum_1"] is GatedAdd
    assert kinds["logits"] is layers.Dense
    # The branch, which may leave, comes second.
    gate = model.get_layer("sum_1")
    shortcut, branch = gate.input
    assert shortcut is model.get_layer("stem").output
    assert branch is model.get_layer("outer_1").output
    assert model.widths.keys() == {"stem", "inner_1", "inner_2"}


def test_the_given_model_stays_as_it_is():
    plain = plain_network()
    before = [w.numpy() for w in plain.weights]
    config = plain.get_config()
    model = kgp.growable(plain, BUDGET, seed=0)
    train(model, epochs=3)
    assert plain.get_config() == config
    for value, weight in zip(before, plain.weights, strict=True):
        np.testing.assert_array_equal(value, weight.numpy())
    assert not plain.compiled


def test_it_trains_to_the_budget_and_leaves_as_a_plain_network():
    plain = plain_network()
    model = kgp.growable(plain, BUDGET, seed=0)
    logs = train(model, epochs=4)
    assert logs["settled"][-1] == 1.0 and logs["params"][-1] <= 0.6
    small = model.compact()
    modules = {type(layer).__module__ for layer in small.layers}
    assert not any("keras_growprune" in module for module in modules)
    assert small.count_params() <= 0.6 * plain.count_params()


def test_start_from_weights_begins_with_all_of_them():
    plain = plain_network()
    train(plain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = kgp.growable(plain, BUDGET, start="weights", seed=0)
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype("float32")
    np.testing.assert_allclose(model(x), plain(x), atol=1e-6)
    assert model.structure.units.all() and model.structure.gates.all()
    logs = train(model, epochs=4)
    assert logs["params"][0] == 1.0 and logs["params"][-1] <= 0.6


def test_start_from_weights_keeps_the_moments_of_a_schedule():
    schedule = kgp.GrowthSchedule(peak_at=0.1, settle_at=0.7)
    model = kgp.growable(
        plain_network(), BUDGET, start="weights", schedule=schedule
    )
    assert model.schedule.get_config() == {
        **schedule.get_config(),
        "seed_fraction": 1.0,
        "peak": 1.0,
    }


def test_the_seed_of_a_trained_model_has_its_largest_filters():
    inputs = keras.Input((5,))
    x = layers.Dense(4, use_bias=False, name="hidden")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    plain = keras.Model(inputs, layers.Dense(3)(x))
    plain.get_layer("norm").gamma.assign([0.1, 3.0, -2.0, 0.5])
    with pytest.warns(UserWarning, match="keeps 2 of its 4 units.*`start="):
        model = kgp.growable(
            plain, BUDGET, schedule=kgp.GrowthSchedule(0.6), seed=0
        )
    np.testing.assert_array_equal(model.structure.units, [0, 1, 1, 0])
    np.testing.assert_array_equal(
        model.get_layer("hidden").kernel,
        plain.get_layer("hidden").kernel.numpy()[:, 1:3],
    )
    np.testing.assert_array_equal(model.get_layer("norm").gamma, [3.0, -2.0])
    # A unit that comes later is new, not the old one.
    model.restructure(kgp.Structure([1, 1, 1, 0], []))
    np.testing.assert_array_equal(
        model.get_layer("norm").gamma, [1.0, 3.0, -2.0]
    )
    old = plain.get_layer("hidden").kernel.numpy()[:, 0]
    assert not np.allclose(model.get_layer("hidden").kernel[:, 0], old)


def test_a_fresh_lstm_does_not_look_trained():
    inputs = keras.Input((4, 2))
    plain = keras.Model(inputs, layers.Dense(2)(layers.LSTM(5)(inputs)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kgp.growable(plain, kgp.Budget(params=0.7), seed=0)
    plain.layers[1].cell.bias.assign(np.ones(20))
    with pytest.warns(UserWarning, match="looks trained"):
        kgp.growable(plain, kgp.Budget(params=0.7), seed=0)


def test_the_seed_of_an_untrained_model_is_fresh_and_silent():
    plain = plain_network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = kgp.growable(plain, BUDGET, seed=0)
    width = model.get_layer("stem").kernel.shape[-1]
    old = plain.get_layer("stem").kernel.numpy()[..., :width]
    assert not np.allclose(model.get_layer("stem").kernel, old)


@pytest.mark.parametrize("name", ["inner_1", "layer"])
def test_frozen_layers_keep_their_width(name):
    plain = plain_network()
    item = plain.get_layer("inner_1") if name == "layer" else name
    model = kgp.growable(plain, BUDGET, freeze=[item], seed=0)
    assert model.widths.keys() == {"stem", "inner_2"}
    assert type(model.get_layer("inner_1")) is layers.Conv2D


def test_a_frozen_sum_is_not_gated():
    model = kgp.growable(plain_network(), BUDGET, freeze="sum_2", seed=0)
    assert model.coupling_report().gates == ["sum_1"]
    assert type(model.get_layer("sum_2")) is layers.Add


def test_what_is_frozen_may_be_an_operation_or_inside_a_layer():
    inputs = keras.Input((5, 4))
    x = layers.TimeDistributed(layers.Dense(6, name="inner"), name="time")(
        inputs
    )
    x = ops.add(x, layers.Dense(6, name="branch")(x))
    x = keras.Sequential([keras.Input((5, 6)), layers.Dense(7, name="last")])(x)
    plain = keras.Model(inputs, layers.Dense(2)(x))
    name = next(
        operation.name
        for operation in plain.operations
        if type(operation).__name__ == "Add"
    )
    model = kgp.growable(plain, BUDGET, freeze=[name])
    assert model.widths.keys() == {"inner", "last"}
    assert model.structure.gates.size == 0
    budget = kgp.Budget(params=0.9)
    model = kgp.growable(plain, budget, freeze=["time"])
    assert model.widths.keys() == {"last"}
    assert model.structure.gates.size == 1


def test_a_frozen_model_inside_keeps_all_its_widths():
    base = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, name="first")], name="base"
    )
    inputs = keras.Input((4,))
    x = layers.Dense(6, name="second")(base(inputs))
    plain = keras.Model(inputs, layers.Dense(2)(x))
    assert kgp.growable(plain, BUDGET).widths.keys() == {"first", "second"}
    model = kgp.growable(plain, BUDGET, freeze=["base"])
    assert model.widths.keys() == {"second"}


def test_layers_of_one_name_in_two_models_get_other_names():
    inputs = x = keras.Input((4,))
    for name in ("a", "b"):
        x = keras.Sequential(
            [keras.Input((4,)), layers.Dense(4, name="same")], name=name
        )(x)
    model = kgp.growable(keras.Model(inputs, layers.Dense(2)(x)), BUDGET)
    assert model.widths.keys() == {"same", "b_same"}


def test_a_sum_of_operations_is_gated_and_a_projected_one_is_not():
    inputs = keras.Input((4,))
    x = layers.Dense(6)(inputs)
    x = x + layers.Dense(6)(layers.Dense(5)(x))
    y = layers.Dense(7)(x) + layers.Dense(7)(x)
    z = y + ops.relu(y)  # nothing leaves with this branch
    model = kgp.growable(keras.Model(inputs, layers.Dense(2)(z)), BUDGET)
    assert len(model.structure.gates) == 1


def test_inference_mode_of_a_model_inside_is_kept():
    base = keras.Sequential(
        [keras.Input((3,)), layers.BatchNormalization(name="norm")]
    )
    base.trainable = False
    inputs = keras.Input((3,))
    x = layers.Dense(8)(base(inputs, training=False))
    model = kgp.growable(keras.Model(inputs, layers.Dense(3)(x)), BUDGET)
    train(model)
    np.testing.assert_array_equal(model.get_layer("norm").moving_mean, 0.0)


def test_a_subclassed_model_of_layers_is_converted():
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = layers.Dense(8, activation="relu")
            self.out = layers.Dense(3)

        def call(self, x):
            return self.out(2.0 * self.hidden(x))

    plain = Network()
    x = np.ones((2, 4), "float32")
    with pytest.raises(ValueError, match="is not built.*Call it once"):
        kgp.growable(plain, BUDGET)
    expected = plain(x)
    model = kgp.growable(plain, BUDGET, start="weights")
    np.testing.assert_allclose(model(x), expected, rtol=1e-6)
    assert list(model.widths.values()) == [8]


def test_a_subclassed_model_of_tensorflow_code_is_refused():
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = layers.Dense(3)

        def call(self, x):
            return self.out(ops.convert_to_tensor(np.asarray(x)))

    plain = Network()
    plain(np.ones((2, 4), "float32"))
    with pytest.raises(ValueError, match="Write it as a functional model"):
        kgp.growable(plain, BUDGET)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(start="middle"), "must be 'seed'"),
        (dict(freeze=["nobody"]), "Received: 'nobody'.*inner_1"),
        (dict(freeze=[layers.Dense(2)]), "must list layers of the model"),
        (dict(rule="none"), "Argument `rule`"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        kgp.growable(plain_network(), BUDGET, **arguments)


def test_what_is_no_plain_model_is_refused():
    with pytest.raises(ValueError, match="must be a `keras.Model`"):
        kgp.growable("resnet", BUDGET)
    model = kgp.growable(plain_network(), BUDGET)
    with pytest.raises(ValueError, match="grows already"):
        kgp.growable(model, BUDGET)
    with pytest.raises(ValueError, match="not built"):
        kgp.growable(keras.Sequential([layers.Dense(3)]), BUDGET)


def test_a_model_with_nothing_to_grow_says_why():
    inputs = keras.Input((4,))
    plain = keras.Model(inputs, layers.Dense(3, name="only")(inputs))
    with pytest.raises(ValueError, match="`only`: feeds an output"):
        kgp.growable(plain, BUDGET)
    x = layers.Dense(3)(layers.Dense(4, name="hidden")(inputs))
    with pytest.raises(ValueError, match="`hidden`: was to stay as it is"):
        kgp.growable(keras.Model(inputs, x), BUDGET, freeze=["hidden"])


def test_a_converted_model_is_saved_in_the_middle_and_goes_on(tmp_path):
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(8, 3, groups=2)(inputs)
    x = layers.Conv2D(8, 1, groups=8)(layers.GroupNormalization(-1)(x))
    s = layers.Reshape((1, 1, 8))(layers.GlobalMaxPooling2D()(x))
    x = x * layers.Dense(8, activation="sigmoid")(s)
    plain = keras.Model(inputs, layers.Dense(3)(ops.reshape(x, (-1, 32))))
    model = kgp.growable(plain, BUDGET, seed=0)
    train(model, epochs=2, growth_epochs=6)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.structure == model.structure
    x = np.random.default_rng(0).normal(size=(4, 4, 4, 2)).astype("float32")
    np.testing.assert_array_equal(model(x), loaded(x))
    train(loaded, epochs=4)
    assert loaded.settled
    full = kgp.Structure(
        np.ones_like(model.structure.units), model.structure.gates
    )
    loaded.restructure(full)
    assert loaded.count_params() == plain.count_params()
    small = loaded.compact()
    small.save(tmp_path / "small.keras")
    again = keras.models.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(small(x), again(x))

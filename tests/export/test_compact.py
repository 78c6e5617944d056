import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_growprune import Budget
from keras_growprune import GrowPruneModel
from keras_growprune import Structure
from keras_growprune import layers as kgp

layers = keras.layers


def with_norm(activation="relu", **norm):
    """Residual network with a batch norm after each convolution."""

    def convolution(x, width, activate=True):
        x = kgp.GrowableConv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(**norm)(x)
        return layers.Activation(activation)(x) if activate else x

    inputs = keras.Input((5, 5, 2))
    x = convolution(inputs, 5)
    for _ in range(2):
        y = convolution(convolution(x, 4), 5, activate=False)
        x = layers.Activation(activation)(kgp.GatedAdd()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return inputs, layers.Dense(3)(x)


def without_norm(activation="relu", end=None):
    """Residual network without norms; `end` activates the branch."""
    inputs = keras.Input((5, 5, 2))
    x = kgp.GrowableConv2D(5, 3, activation=activation)(inputs)
    for _ in range(2):
        y = kgp.GrowableConv2D(4, 1, activation=activation)(x)
        y = kgp.GrowableConv2D(5, 3, padding="same", activation=end)(y)
        x = kgp.GatedAdd()([x, y])
    x = layers.Flatten()(x)
    x = kgp.GrowableDense(4, activation=activation)(x)
    return inputs, layers.Dense(3)(x)


def mixed():
    """Depthwise, layer norm, a branch that others read, shared layers."""
    inputs = keras.Input((5, 5, 2))
    x = layers.Conv2D(3, 1, name="plain")(inputs)
    x = kgp.GrowableConv2D(5, 3, padding="same")(x)
    x = layers.LayerNormalization()(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    y = kgp.GrowableConv2D(5, 1)(layers.LeakyReLU()(y))
    shared = kgp.GrowableConv2D(5, 1)
    y = shared(shared(y))
    z = kgp.GatedAdd()([x, y])
    x = layers.Add()([z, y])
    x = layers.Dropout(0.5)(layers.MaxPooling2D()(x))
    return inputs, layers.Dense(3)(layers.Flatten()(x))


def shared_branch():
    """The same layer ends the branches of two gated sums."""
    inputs = keras.Input((5, 5, 2))
    x = kgp.GrowableConv2D(5, 1)(inputs)
    shared = kgp.GrowableConv2D(5, 1)
    x = kgp.GatedAdd()([x, shared(x)])
    x = kgp.GatedAdd()([x, shared(x)])
    return inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))


def plain_chain():
    """Layers that the identity may replace."""
    inputs = keras.Input((5, 5, 2))
    x = kgp.GrowableConv2D(5, 1)(inputs)
    for _ in range(3):
        y = kgp.GrowableConv2D(5, 3, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        x = kgp.GatedSkip()([x, y])
    return inputs, layers.Dense(3)(layers.Flatten()(x))


NETWORKS = {
    "norm, relu": lambda: with_norm("relu"),
    "norm, tanh": lambda: with_norm("tanh"),
    "norm without scale": lambda: with_norm("tanh", scale=False),
    "norm without center": lambda: with_norm("relu", center=False),
    "bare norm": lambda: with_norm("relu", scale=False, center=False),
    "no norm, relu": lambda: without_norm("relu"),
    "no norm, tanh": lambda: without_norm("tanh"),
    "soft layer gate after an activation": lambda: without_norm("tanh", "relu"),
    "mixed": mixed,
    "shared branch": shared_branch,
    "plain chain": plain_chain,
}


def make_model(network, rule="saliency", seed=0):
    keras.utils.set_random_seed(seed)
    inputs, outputs = network()
    budget = Budget(params=0.9)
    model = GrowPruneModel(inputs, outputs, budget, rule=rule, seed=seed)
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.moving_mean.shape
            layer.moving_mean.assign(random.normal(size=size))
    return model


def set_random_structure(model, random):
    """Random masks, random values of all weights, statistics and logits."""
    growth = model._growth
    units = random.random(growth.blueprint.map.unit_count) < 0.6
    for group in growth.blueprint.map.groups:
        units[group.start + random.integers(group.size)] = True
    gates = random.random(len(growth.blueprint.map.gates)) < 0.6
    model.restructure(Structure(units, gates))
    for variable in model.weights:
        value = random.normal(size=variable.shape)
        if "variance" in variable.name:
            value = np.abs(value) + 0.5
        if variable.name == "ages":
            value = np.round(np.abs(value))
        variable.assign(0.5 * value)
    return units, gates


def images(count=3):
    random = np.random.default_rng(1)
    return random.normal(size=(count, 5, 5, 2)).astype("float32")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("rule", ["saliency", "paper"])
@pytest.mark.parametrize("name", NETWORKS)
def test_compact_is_plain_keras_and_computes_what_the_gated_does(name, rule):
    model = make_model(NETWORKS[name], rule)
    random = np.random.default_rng(3)
    for _ in range(2):
        set_random_structure(model, random)
        small = model.compact()
        for layer in [small, *small.layers]:
            assert type(layer).__module__.startswith("keras."), layer
        expected = np.array(model(images(), training=False))
        assert np.abs(expected).max() > 0.01
        np.testing.assert_allclose(
            small(images(), training=False), expected, atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("name", ["norm, relu", "no norm, tanh", "mixed"])
def test_soft_factors_are_really_there(name):
    model = make_model(NETWORKS[name], "paper")
    set_random_structure(model, np.random.default_rng(3))
    before = np.array(model(images(), training=False))
    model._unit_gate.logits.assign(model._unit_gate.logits + 1.0)
    after = np.array(model(images(), training=False))
    assert np.abs(before - after).max() > 1e-3
    np.testing.assert_allclose(
        model.compact()(images(), training=False), after, atol=1e-5, rtol=1e-5
    )


def test_compact_has_only_the_units_and_layers_that_are_there():
    model = make_model(NETWORKS["norm, relu"])
    growth = model._growth
    sizes = {group.name: group.size for group in growth.blueprint.map.groups}
    assert sorted(sizes.values()) == [4, 4, 5]
    units = np.zeros(13, bool)
    for group in growth.blueprint.map.groups:
        units[[group.start, group.start + 2]] = True
    model.restructure(Structure(units, [True, False]))
    small = model.compact()
    found = [x for x in small.layers if isinstance(x, layers.Conv2D)]
    assert [x.filters for x in found] == [2, 2, 2]
    assert [x.kernel.shape[2:] for x in found] == [(2, 2)] * 3
    assert sum(isinstance(x, layers.Add) for x in small.layers) == 1


def test_compact_shares_nothing_with_the_model():
    model = make_model(NETWORKS["no norm, relu"])
    small = model.compact()
    expected = np.array(model(images()))
    for variable in small.weights:
        variable.assign(variable + 1.0)
    np.testing.assert_array_equal(model(images()), expected)
    assert not {id(x) for x in small.layers} & {id(x) for x in model.layers}


def test_compact_keeps_weights_that_no_structure_changes():
    inputs = keras.Input((4,))
    stem = layers.Dense(3, name="stem", trainable=False)
    x = kgp.GrowableDense(5)(stem(inputs))
    outputs = layers.Dense(2)(x)
    stem.set_weights([np.full((4, 3), 7.0), np.full(3, 2.0)])
    model = GrowPruneModel(inputs, outputs, Budget(params=0.9), seed=0)
    kernel, bias = model.compact().get_layer("stem").get_weights()
    assert bias.tolist() == [2.0] * 3
    assert kernel.tolist() == [[7.0] * 3] * 4


def test_compact_keeps_the_structure_of_inputs_and_outputs():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    x = kgp.GrowableDense(5)(a)
    y = kgp.GrowableDense(5)(b)
    x = layers.Add()([x, y])
    outputs = {"one": layers.Dense(2)(x), "two": layers.Dense(1)(x)}
    model = GrowPruneModel({"a": a, "b": b}, outputs, Budget(params=0.9))
    data = {"b": np.ones((2, 3)), "a": np.ones((2, 4))}
    found, expected = model.compact()(data), model(data)
    assert sorted(found) == ["one", "two"]
    for key in found:
        np.testing.assert_allclose(found[key], expected[key], atol=1e-6)


def test_compact_keeps_the_precision_policy():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make_model(NETWORKS["norm, relu"])
        small = model.compact()
    finally:
        keras.config.set_dtype_policy("float32")
    kinds = {x.compute_dtype for x in small.layers if x.weights}
    assert kinds == {"float16"}


def test_a_gated_sum_called_with_a_keyword_can_be_compacted():
    inputs = keras.Input((4,))
    x = kgp.GrowableDense(5)(inputs)
    y = kgp.GrowableDense(5, activation="relu")(x)
    x = kgp.GatedAdd()(inputs=[x, y])
    model = GrowPruneModel(
        inputs, layers.Dense(2)(x), Budget(params=0.9), rule="paper"
    )
    data = np.ones((2, 4), "float32")
    np.testing.assert_allclose(model.compact()(data), model(data), atol=1e-6)


def test_a_compact_file_loads_without_the_library(tmp_path):
    model = make_model(NETWORKS["mixed"], "paper")
    set_random_structure(model, np.random.default_rng(5))
    model.compile("adam", "mse", metrics=["mae"])
    small = model.compact(compiled=True)
    small.save(tmp_path / "small.keras")
    np.save(tmp_path / "x.npy", images())
    code = (
        "import sys\n"
        "sys.modules['keras_growprune'] = None  # cannot be imported\n"
        "import keras, numpy as np\n"
        "model = keras.models.load_model('small.keras')\n"
        "assert model.compiled\n"
        "np.save('y.npy', model(np.load('x.npy'), training=False))\n"
    )
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    expected = small(images(), training=False)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, atol=1e-6)

"""Values that a user gave stay: frozen layers, initializers of one shape."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_growprune as kgp
from tests.networks import FULL
from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import convolution
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import head
from tests.networks import random_structure

MATRIX = np.random.default_rng(0).normal(size=(20, 12)).astype("float32")


def word_vectors(**kwargs):
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(20, 12, name="vectors", **kwargs)(inputs)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(10, activation="relu", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def words(count=64):
    x = np.random.default_rng(1).integers(0, 20, (count, 5))
    return x, x[:, 0] % 3


def units_of(model, name):
    (group,) = [g for g in model.groups if g.name == name]
    return np.flatnonzero(model.structure.units[group.slice])


def matrix(shape, dtype=None):
    """An initializer of a user's own that knows one shape only."""
    return keras.ops.convert_to_tensor(MATRIX, dtype)


INITIALIZERS = {
    "constant": keras.initializers.Constant(MATRIX),
    "function": matrix,
}


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("kind", INITIALIZERS)
def test_a_newcomer_gets_its_column_of_a_constant_matrix(kind, trainable):
    net = word_vectors(
        embeddings_initializer=INITIALIZERS[kind], trainable=trainable
    )
    model = kgp.growable(net, kgp.Budget(params=0.6), seed=0)
    random = np.random.default_rng(2)
    for _ in range(5):
        model.restructure(random_structure(model, random))
        vectors = model.get_layer("vectors").embeddings.numpy()
        assert_same_bits([MATRIX[:, units_of(model, "vectors")]], [vectors])


@pytest.mark.parametrize("kind", INITIALIZERS)
def test_a_compact_network_has_its_part_of_a_constant_matrix(kind, tmp_path):
    net = word_vectors(embeddings_initializer=INITIALIZERS[kind])
    model = kgp.growable(net, kgp.Budget(params=0.6), seed=0)
    compile_model(model, "adam")
    x, y = words()
    model.fit(x, y, epochs=5, verbose=0)
    expected = model.predict(x, verbose=0)
    model.compact().save(tmp_path / "small.keras")
    small = keras.models.load_model(tmp_path / "small.keras")
    np.testing.assert_allclose(small.predict(x, verbose=0), expected, atol=1e-6)
    fresh = model.untrained().get_layer("vectors").embeddings.numpy()
    assert_same_bits([MATRIX[:, units_of(model, "vectors")]], [fresh])


def test_a_vector_of_initial_values_is_sliced_not_broadcast():
    inputs = keras.Input((4,))
    start = keras.initializers.Constant(np.arange(6.0))
    x = kgp.layers.GrowableDense(6, bias_initializer=start)(inputs)
    model = grow((inputs, layers.Dense(2)(x)))
    assert not model.structure.units.all()
    bias = model.layers[1].bias.numpy()
    np.testing.assert_array_equal(bias, np.flatnonzero(model.structure.units))


def frozen_stem():
    """A frozen convolution with its norm, then a frozen block, then a head."""
    inputs = keras.Input((6, 6, 2))
    x = stem = convolution(inputs, 6)
    y = convolution(x, 5)
    y = convolution(y, 6, activate=False)
    x = layers.ReLU()(kgp.layers.GatedAdd()([x, y]))
    x = convolution(x, 7)
    network = inputs, head(x)
    frozen = keras.Model(inputs, [stem, y])
    for layer in frozen.layers:
        layer.trainable = False
    random = np.random.default_rng(0)
    for variable in frozen.variables:
        shape = tuple(variable.shape)
        if "float" in variable.dtype:  # not the seeds
            variable.assign(random.uniform(0.5, 1.5, shape))
    given = {v.path: v.numpy() for v in frozen.variables}
    return network, given


def assert_given(model, given):
    """All weights on the device are parts of the given ones."""
    found = 0
    for weight in model._growth.blueprint.map.weights:
        if weight.variable.path in given:
            where = model._growth.blueprint.map.indices(weight, model.structure)
            part = given[weight.variable.path][np.ix_(*where)]
            assert_same_bits([part], [weight.variable])
            found += 1
    assert found == len(given)


@pytest.mark.parametrize("seed", range(4))
def test_a_frozen_layer_keeps_its_values_at_every_structure(seed):
    network, given = frozen_stem()
    model = grow(network, seed=seed)
    assert_given(model, given)
    random = np.random.default_rng(seed)
    for _ in range(4):
        model.restructure(random_structure(model, random))
        assert_given(model, given)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("rule", ["saliency", "paper"])
def test_training_changes_no_value_of_a_frozen_layer(rule, tmp_path):
    network, given = frozen_stem()
    model = grow(network, rule=rule)
    compile_model(model, keras.optimizers.AdamW(0.05, weight_decay=0.1))
    seed = dict(model.widths)
    fit(model, epochs=4, growth_epochs=8)
    assert model.widths != seed
    assert_given(model, given)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    fit(again, epochs=4, growth_epochs=8)
    assert again.settled
    if rule == "saliency":  # the other folds its soft factors in
        assert_given(again, given)


def test_units_of_a_frozen_layer_are_measured():
    network, _ = frozen_stem()
    model = grow(network)
    compile_model(model)
    fit(model, epochs=2, growth_epochs=8)
    live = model.structure.units
    assert np.isfinite(model._growth.state.saliency[live]).all()


def test_a_frozen_layer_that_is_unfrozen_is_trained():
    network, given = frozen_stem()
    model = grow(network, schedule=FULL)
    compile_model(model)
    model.fit(*examples(model), epochs=1, growth_epochs=9, verbose=0)
    assert_given(model, given)
    for layer in model.layers:
        layer.trainable = True
    compile_model(model)
    model.fit(*examples(model), epochs=1, growth_epochs=9, verbose=0)
    moved = [
        v.path
        for v in model.trainable_variables
        if v.path in given and v.shape == given[v.path].shape
        if not np.array_equal(v.numpy(), given[v.path])
    ]
    assert len(moved) == 9  # three kernels, and gamma and beta of their norms


SIGNS = {
    "frozen": lambda: word_vectors(trainable=False),
    "other_spread": lambda: word_vectors(weights=[MATRIX]),
}


@pytest.mark.parametrize("kind", SIGNS)
def test_given_word_vectors_are_seen_and_kept(kind):
    net = SIGNS[kind]()
    given = net.get_layer("vectors").embeddings.numpy()
    with pytest.warns(UserWarning, match="looks trained"):
        model = kgp.growable(net, kgp.Budget(params=0.6))
    vectors = model.get_layer("vectors").embeddings.numpy()
    assert 0 < vectors.shape[1] < 12
    assert_same_bits([given[:, units_of(model, "vectors")]], [vectors])


def test_fresh_networks_do_not_look_trained(recwarn):
    for seed in range(10):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((9, 9, 8))
        x = layers.Conv2D(8, 3, kernel_initializer="he_normal")(inputs)
        x = layers.BatchNormalization()(x)
        x = layers.Conv2D(8, 3, kernel_initializer="orthogonal")(x)
        x = layers.LSTM(8)(layers.Reshape((25, 8))(x))
        net = keras.Model(inputs, layers.Dense(3)(x))
        kgp.growable(net, kgp.Budget(flops=0.5))
    assert not [w for w in recwarn if "looks trained" in str(w.message)]

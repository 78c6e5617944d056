"""int8 and LoRA come after `compact()`: before, they are refused by name."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_growprune as kgp
from tests.networks import FULL
from tests.networks import assert_same_bits
from tests.networks import compile_model
from tests.networks import dense
from tests.networks import examples
from tests.networks import fit
from tests.networks import grow
from tests.networks import with_units

CHANGES = {
    "int8": lambda layer: layer.quantize("int8"),
    "LoRA": lambda layer: layer.enable_lora(2),
}


def text_network(**kwargs):
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(20, 8, name="embedding")(inputs)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(12, activation="relu", name="hidden", **kwargs)(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(x), name="plain")


@pytest.mark.parametrize("settled", [False, True])
def test_a_growing_model_is_not_quantized(settled):
    model = grow(dense())
    if settled:
        model.settle()
    before = [v.numpy() for v in model.variables]
    with pytest.raises(ValueError, match=r"`quantize`.*compact\(\)"):
        model.quantize("int8")
    assert_same_bits(before, model.variables)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "layer,shape",
    [
        (kgp.layers.GrowableDense(4), (None, 3)),
        (kgp.layers.GrowableConv2D(4, 3), (None, 5, 5, 3)),
        (kgp.layers.GrowableEmbedding(9, 4), (None, 3)),
    ],
)
def test_a_growable_layer_is_not_rewritten(change, layer, shape):
    layer = type(layer).from_config(layer.get_config())
    layer.build(shape)
    before = [v.numpy() for v in layer.variables]
    if change == "LoRA" or hasattr(layer.plain_class, "quantize"):
        with pytest.raises(ValueError, match=rf"`{layer.name}`.*compact\(\)"):
            CHANGES[change](layer)
    assert_same_bits(before, layer.variables)


@pytest.mark.parametrize("change", CHANGES)
def test_a_plain_layer_that_was_rewritten_is_named(change, tmp_path):
    model = compile_model(grow(dense()), "adam")
    head = model.layers[-1]
    CHANGES[change](head)
    told = rf"`{head.name}` \(.*{change}.*compact\(\)"
    before, structure = [v.numpy() for v in model.variables], model.structure
    for refused in (
        lambda: fit(model),
        lambda: model.restructure(with_units(model, [0], [0])),
        model.settle,
        model.compact,
        lambda: model.save(tmp_path / "model.keras"),
        lambda: model.save(tmp_path / "folder", zipped=False),
        lambda: model.save_weights(tmp_path / "some.weights.h5"),
    ):
        with pytest.raises(ValueError, match=told):
            refused()
    assert_same_bits(before, model.variables)
    assert model.structure == structure and not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["embedding", "hidden", "head"])
def test_a_network_that_was_rewritten_does_not_grow(change, name):
    network = text_network()
    CHANGES[change](network.get_layer(name))
    with pytest.raises(ValueError, match=rf"`{name}`.*{change}.*compact\(\)"):
        kgp.growable(network, kgp.Budget(flops=0.5))


def test_a_dtype_policy_that_quantizes_is_refused():
    network = text_network(dtype="int8_from_float32")
    with pytest.raises(ValueError, match=r"`hidden` \(quantized, int8\)"):
        kgp.growable(network, kgp.Budget(flops=0.5))
    inputs = keras.Input((5,))
    x = kgp.layers.GrowableDense(6, dtype="int8_from_float32", name="x")(inputs)
    with pytest.raises(ValueError, match=r"`x` \(quantized, int8\)"):
        grow((inputs, layers.Dense(3)(x)), schedule=FULL)


def test_what_compact_returns_is_rewritten_saved_and_loaded(tmp_path):
    model = grow(dense())
    model.settle()
    small = model.compact()
    x, _ = examples(model)
    small.layers[1].enable_lora(2)
    small.save(tmp_path / "lora.keras")
    again = keras.models.load_model(tmp_path / "lora.keras")
    np.testing.assert_allclose(again(x), small(x), atol=1e-6)
    small = model.compact()
    small.quantize("int8")
    small.save(tmp_path / "int8.keras")
    again = keras.models.load_model(tmp_path / "int8.keras")
    np.testing.assert_allclose(again(x), small(x), atol=1e-6)

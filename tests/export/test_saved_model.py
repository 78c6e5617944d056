import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp
from tests.export.exported_networks import NETWORKS
from tests.export.exported_networks import convolutional
from tests.export.exported_networks import grown
from tests.export.exported_networks import samples


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_saved_model_answers_like_the_growing_network(network, tmp_path):
    model = grown(network)
    result = model.export(tmp_path / "a" / "1", verbose=False)
    assert result.difference <= 1e-6 and result.agreement == 1
    loaded = tf.saved_model.load(str(tmp_path / "a" / "1"))
    for count in (1, 3):  # any batch size
        x = samples(model, count)
        expected = np.array(model(x, training=False))
        assert np.abs(expected).max() > 0.01
        called = np.array(loaded(tf.constant(x)))
        np.testing.assert_allclose(called, expected, atol=1e-5)


def test_inputs_and_outputs_are_served_by_their_names(tmp_path):
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    x = keras.layers.Concatenate()([a, b])
    outputs = {
        "sum": keras.layers.Dense(1, name="of_all")(x),
        "classes": keras.layers.Dense(2)(x),
    }
    model = keras.Model({"first": a, "second": b}, outputs)
    kgp.export.export_model(model, tmp_path / "m", verbose=False)
    data = {"first": np.ones((2, 4), "f"), "second": np.ones((2, 3), "f")}
    expected = model(data)
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    called = loaded(keras.tree.map_structure(tf.constant, data))
    served = loaded.signatures["serving_default"](
        **keras.tree.map_structure(tf.constant, data)
    )
    assert set(called) == set(served) == {"sum", "classes"}
    for name in expected:
        for given in (called, served):
            np.testing.assert_allclose(given[name], expected[name], atol=1e-6)


def test_a_keras_layer_reads_what_was_exported(tmp_path):
    model = grown(convolutional)
    model.export(tmp_path / "m", verbose=False)
    layer = keras.layers.TFSMLayer(str(tmp_path / "m"), "serving_default")
    x = samples(model, 3)
    np.testing.assert_allclose(
        layer(x)["scores"], model(x, training=False), atol=1e-6
    )


def test_tensorflow_hub_loads_what_was_exported(tmp_path):
    hub = pytest.importorskip("tensorflow_hub")
    model = grown(convolutional)
    model.export(tmp_path / "m", verbose=False)
    x = samples(model, 3)
    expected = model(x, training=False)
    for load in (hub.load, hub.KerasLayer):
        called = load(str(tmp_path / "m"))(tf.constant(x))
        np.testing.assert_allclose(called, expected, atol=1e-6)

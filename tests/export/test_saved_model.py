import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_growprune import Budget
from keras_growprune import GrowPruneModel
from keras_growprune import layers as kgp
from keras_growprune.export import export_saved_model

layers = keras.layers


def make_model():
    inputs = keras.Input((5, 5, 2), name="image")
    x = kgp.GrowableConv2D(4, 3, use_bias=False)(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.5)(layers.ReLU()(x))
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(3)(x)
    return GrowPruneModel(inputs, outputs, Budget(params=0.9), seed=0)


def images(count=3):
    random = np.random.default_rng(1)
    return random.normal(size=(count, 5, 5, 2)).astype("float32")


def test_call_and_serving_signature_answer_like_the_network(tmp_path):
    model = make_model()
    model.export(tmp_path / "serving")
    loaded = tf.saved_model.load(str(tmp_path / "serving"))
    serve = loaded.signatures["serving_default"]
    for count in (1, 3):
        expected = np.array(model.compact()(images(count), training=False))
        called = np.array(loaded(tf.constant(images(count))))
        ((_, served),) = serve(tf.constant(images(count))).items()
        np.testing.assert_allclose(called, expected, atol=1e-5)
        np.testing.assert_array_equal(called, served)
        np.testing.assert_array_equal(loaded.serve(images(count)), served)
    (_, keywords) = serve.structured_input_signature
    assert [spec.shape.as_list() for spec in keywords.values()] == [
        [None, 5, 5, 2]
    ]


def test_several_inputs_can_be_served(tmp_path):
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    x = layers.Concatenate()([layers.Dense(2)(a), layers.Dense(2)(b)])
    model = keras.Model([a, b], layers.Dense(1)(x))
    export_saved_model(model, tmp_path / "serving")
    loaded = tf.saved_model.load(str(tmp_path / "serving"))
    data = [np.ones((2, 4), "float32"), np.ones((2, 3), "float32")]
    expected = model(data)
    np.testing.assert_allclose(
        loaded([tf.constant(x) for x in data]), expected, atol=1e-6
    )
    serve = loaded.signatures["serving_default"]
    ((_, served),) = serve(
        a=tf.constant(data[0]), b=tf.constant(data[1])
    ).items()
    np.testing.assert_allclose(served, expected, atol=1e-6)


@pytest.mark.parametrize(
    "kwargs", [{"format": "onnx"}, {"verbose": True}], ids=["format", "other"]
)
def test_what_the_export_cannot_do_is_refused(tmp_path, kwargs):
    with pytest.raises(ValueError, match=r"tf_saved_model.*compact\(\)"):
        make_model().export(tmp_path / "serving", **kwargs)
    assert not (tmp_path / "serving").exists()

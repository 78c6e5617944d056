"""Networks that were grown on real digits, in every format."""

import keras
import numpy as np
import pytest

import keras_growprune as kgp

# The oldest versions are tested without the packages of the examples.
load_digits = pytest.importorskip("sklearn.datasets").load_digits
layers = keras.layers
pytestmark = pytest.mark.slow


def convolutional():
    return kgp.models.vgg16((8, 8, 1), width=0.25, skips=False)


def residual():
    return kgp.models.resnet((8, 8, 1), depth=8)


def depthwise():
    network = keras.applications.MobileNetV2(
        (32, 32, 1),
        alpha=0.35,
        weights=None,
        classes=10,
        classifier_activation=None,
    )
    inputs = keras.Input((8, 8, 1))
    x = layers.UpSampling2D(4)(inputs)
    return keras.Model(inputs, network(x))


def recurrent():
    inputs = keras.Input((8, 8, 1))
    x = layers.Reshape((8, 8))(inputs)
    x = kgp.layers.GatedLSTM(48, return_sequences=True)(x)
    y = kgp.layers.GatedLSTM(48, return_sequences=True)(x)
    x = kgp.layers.GatedAdd()([x, y])
    return inputs, layers.Dense(10)(kgp.layers.GatedGRU(48)(x))


# What is drawn of MobileNetV2 learns longer.
EPOCHS = {convolutional: 25, residual: 8, depthwise: 30, recurrent: 20}


@pytest.fixture(scope="module", params=EPOCHS, ids=lambda f: f.__name__)
def grown(request):
    """`(growing model after its training, images to test with)`."""
    keras.utils.set_random_seed(0)
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1) / 8 - 1).astype("float32")
    network = request.param()
    budget = kgp.Budget(flops=0.5)
    if isinstance(network, keras.Model):
        model = kgp.growable(network, budget, seed=0)
    else:
        model = kgp.GrowPruneModel(*network, budget, seed=0)
    model.compile(
        keras.optimizers.Adam(2e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        images[450:], labels[450:], epochs=EPOCHS[request.param], verbose=0
    )
    assert model.evaluate(images[:450], labels[:450], verbose=0)[1] > 0.9
    assert model.ledger.epochs[-1]["cost"] <= 0.5
    return model, images[:450]


@pytest.mark.parametrize(
    "file_format, quantization",
    [
        ("tf_saved_model", None),
        ("litert", None),
        ("litert", "dynamic_range"),
        ("litert", "int8"),
        ("onnx", None),
    ],
)
def test_files_answer_like_the_grown_network(
    grown, file_format, quantization, tmp_path
):
    if file_format == "onnx":
        pytest.importorskip("tf2onnx")
    model, images = grown
    path = tmp_path / f"m{kgp.export.FORMATS[file_format]}"
    calibration = images[:200] if quantization == "int8" else None
    result = model.export(
        path,
        format=file_format,
        quantization=quantization,
        representative_dataset=calibration,
        inputs=images,
    )
    assert result.samples == 450
    if quantization is None:
        assert result.difference <= 1e-5 * max(1, result.largest)
    assert result.agreement >= 0.98
    # The compact network is what was written.
    np.testing.assert_allclose(
        model.compact()(images, training=False),
        model(images, training=False),
        atol=1e-5 * max(1, result.largest),
    )

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp
from keras_growprune.export.file_formats import chosen_format
from keras_growprune.runtimes import open_exported
from tests.export.exported_networks import NETWORKS
from tests.export.exported_networks import convolutional
from tests.export.exported_networks import draw_weights
from tests.export.exported_networks import grown
from tests.export.exported_networks import names
from tests.export.exported_networks import recurrent
from tests.export.exported_networks import samples

ENDINGS = kgp.export.FORMATS
onnx = pytest.mark.skipif(
    "not __import__('importlib.util').util.find_spec('tf2onnx')",
    reason="needs the extra `onnx`",
)


@pytest.mark.parametrize(
    "path, expected",
    [("a.onnx/m.tflite", "litert"), ("m.onnx", "onnx")]
    + [(path, "tf_saved_model") for path in ("m", "m.tflite/1", "1.0", "a/")],
)
def test_the_ending_tells_the_format(path, expected, tmp_path):
    assert chosen_format(tmp_path / path) == expected
    assert chosen_format(path, expected) == expected


@pytest.mark.slow
def test_litert_file_answers_like_the_growing_network(tmp_path, capsys):
    model, path = grown(recurrent), tmp_path / "m.tflite"
    result = model.export(path)
    assert result.difference <= 1e-5 and result.agreement == 1
    assert capsys.readouterr().out.startswith(f"wrote {path}: largest diff")
    assert names(tmp_path) == ["m.tflite"]
    assert open_exported(path).inputs["input_layer"][0] == (1, 6, 5)


@pytest.mark.slow
@onnx
def test_onnx_file_answers_like_the_growing_network(tmp_path):
    model, path = grown(convolutional), tmp_path / "m.onnx"
    result = model.export(path, verbose=False)
    assert result.difference <= 1e-5 and result.agreement == 1
    file = open_exported(path)
    assert file.inputs == {"image": ((None, 8, 8, 1), "float32")}
    x = samples(model, 5)  # any batch size
    np.testing.assert_allclose(
        file.run({"image": x})["scores"], model(x, training=False), atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("quantization", [None, "dynamic_range", "int8"])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_litert_of_every_kind(network, quantization, tmp_path):
    model, path = grown(network), tmp_path / "m.tflite"
    data = samples(model) if quantization == "int8" else None
    result = model.export(
        path,
        format="litert",
        quantization=quantization,
        representative_dataset=data,
        verbose=False,
    )
    if quantization == "int8":
        assert 0 < result.noise < 0.1 and result.agreement > 0.9
        assert {dtype for _, dtype in open_exported(path).inputs.values()} == {
            model.inputs[0].dtype
        }
    else:
        assert result.difference <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("integer_io", [False, True])
def test_inputs_of_a_full_integer_file_are_integers_if_asked(
    integer_io, tmp_path
):
    model, path = grown(convolutional), tmp_path / "m.tflite"
    result = model.export(
        path,
        format="litert",
        quantization="int8",
        representative_dataset=tf.data.Dataset.from_tensor_slices(
            (samples(model), np.zeros(64))
        ).batch(16),
        integer_io=integer_io,
        verbose=False,
    )
    assert result.samples == 64 and result.noise < 0.1
    dtype = "int8" if integer_io else "float32"
    file = open_exported(path)
    assert file.inputs["image"] == ((1, 8, 8, 1), dtype) and file.is_quantized


@pytest.mark.slow
def test_dynamic_range_makes_a_file_of_a_quarter(tmp_path):
    inputs = keras.Input((300,))
    model = keras.Model(inputs, keras.layers.Dense(400)(inputs))
    for name, quantization in (("full", None), ("less", "dynamic_range")):
        kgp.export.export_model(
            model,
            tmp_path / f"{name}.tflite",
            format="litert",
            quantization=quantization,
            verbose=False,
        )
    full, less = (
        (tmp_path / f"{name}.tflite").stat().st_size
        for name in ("full", "less")
    )
    assert less < 0.3 * full


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [None, 4])
def test_litert_batches(batch_size, tmp_path):
    model, path = grown(convolutional), tmp_path / "m.tflite"
    model.export(path, format="litert", batch_size=batch_size, verbose=False)
    file = open_exported(path)
    assert file.inputs["image"][0][0] == batch_size
    assert file.outputs == {"scores": ((batch_size, 10), "float32")}
    assert not file.is_quantized
    assert min(kgp.devices.time_files([path], batch_size=4)) > 0
    assert kgp.verify(model, path, samples(model, 8)).difference < 1e-5


@pytest.mark.slow
@onnx
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_onnx_of_every_kind(network, tmp_path):
    model, path = grown(network), tmp_path / "m.onnx"
    model.export(path, format="onnx", verbose=False)
    result = kgp.verify(model, path, samples(model, 7))
    assert result.difference <= 1e-5 and result.agreement == 1


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["litert", "onnx"])
def test_a_depthwise_network_of_users(file_format, tmp_path):
    network = keras.applications.MobileNetV2(
        (32, 32, 3), weights=None, classes=10, alpha=0.35
    )
    model = kgp.growable(
        network, kgp.Budget(flops=0.5), width_multiple=8, seed=0
    )
    draw_weights(model)
    x = samples(model, 16)
    model.recalibrate(x)
    path = tmp_path / f"m{ENDINGS[file_format]}"
    result = model.export(path, format=file_format, inputs=x, verbose=False)
    # Random weights; of trained ones, see `test_exports_of_digits`.
    assert result.relative <= 1e-4 and result.agreement == 1


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["litert", "onnx"])
def test_a_network_in_mixed_precision_is_written_in_single(
    file_format, tmp_path
):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = grown(convolutional)
    finally:
        keras.config.set_dtype_policy("float32")
    path = tmp_path / f"m{ENDINGS[file_format]}"
    assert model.export(path, format=file_format).difference < 1e-5
    inner = keras.Sequential([keras.Input((4,))])
    inner.add(keras.layers.Dense(3, dtype="mixed_float16"))
    inputs = keras.Input((4,))
    nested = keras.Model(inputs, keras.layers.Dense(2)(inner(inputs)))
    kgp.export.export_model(nested, path, file_format, overwrite=True)

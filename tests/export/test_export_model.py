import errno
import os
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_growprune as kgp
from keras_growprune.runtimes import open_exported
from tests.export.exported_networks import NETWORKS
from tests.export.exported_networks import convolutional
from tests.export.exported_networks import draw_weights
from tests.export.exported_networks import grown
from tests.export.exported_networks import recurrent
from tests.export.exported_networks import samples

ENDINGS = kgp.export.FORMATS
onnx = pytest.mark.skipif(
    "not __import__('importlib.util').util.find_spec('tf2onnx')",
    reason="needs the extra `onnx`",
)


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


# SavedModel


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


# LiteRT and ONNX


def test_litert_file_answers_like_the_growing_network(tmp_path, capsys):
    model, path = grown(recurrent), tmp_path / "m.tflite"
    result = model.export(path, format="litert")
    assert result.difference <= 1e-5 and result.agreement == 1
    assert capsys.readouterr().out.startswith(f"wrote {path}: largest diff")
    assert names(tmp_path) == ["m.tflite"]
    assert open_exported(path).inputs["input_layer"][0] == (1, 6, 5)


@pytest.mark.slow
@onnx
def test_onnx_file_answers_like_the_growing_network(tmp_path):
    model, path = grown(convolutional), tmp_path / "m.onnx"
    result = model.export(path, format="onnx", verbose=False)
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


# What is not right leaves nothing


REFUSED = {
    "format": (dict(format="tflite"), r"one of.*litert.*'tflite'"),
    "ending": (
        dict(path="m.onnx", format="litert"),
        r"end with `\.tflite`.*m\.onnx",
    ),
    "quantization": (
        dict(format="litert", quantization="int4"),
        r"'int8'\].*int4",
    ),
    "quantized ONNX": (
        dict(path="m.onnx", format="onnx", quantization="dynamic_range"),
        "belongs to format 'litert'",
    ),
    "no samples": (
        dict(format="litert", quantization="int8"),
        "needs `representative_dataset`.*NoneType",
    ),
    "samples for nothing": (
        dict(format="litert", representative_dataset=np.ones((9, 8, 8, 1))),
        "nothing else takes it",
    ),
    "samples of another shape": (
        dict(
            format="litert",
            quantization="int8",
            representative_dataset=np.ones((9, 8, 8, 3)),
        ),
        r"`representative_dataset`.*\(8, 8, 1\)|samples', 8, 8, 1\).*8, 8, 3",
    ),
    "other samples": (dict(inputs=np.ones((9, 8))), r"`inputs`.*\(9, 8\)"),
    "batch size": (dict(format="litert", batch_size=0), "batch_size=0"),
    "opset": (dict(format="litert", opset=13), "opset=13"),
    "integers at both ends": (
        dict(format="litert", integer_io=True),
        "belongs to quantization='int8'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_arguments_that_do_not_fit_are_refused(name, tmp_path):
    arguments, text = REFUSED[name]
    arguments = {**arguments}
    ending = ENDINGS.get(arguments.get("format"), "")
    path = tmp_path / "new" / arguments.pop("path", f"m{ending}")
    with pytest.raises(ValueError, match=text):
        grown(convolutional).export(path, **arguments)
    assert names(tmp_path) == []


def test_what_is_no_network_is_refused(tmp_path):
    class Own(keras.Model):
        def call(self, x):
            return x

    for model in (Own(), "small.keras", keras.Sequential()):
        with pytest.raises(ValueError, match="`model` must be.*Received"):
            kgp.export.export_model(model, tmp_path / "m")
    assert names(tmp_path) == []


def test_a_recurrent_network_needs_a_batch_size_in_litert(tmp_path):
    with pytest.raises(ValueError, match="fixed batch size.*batch_size=1"):
        grown(recurrent).export(
            tmp_path / "m.tflite", format="litert", batch_size=None
        )
    assert names(tmp_path) == []


def test_a_network_that_remembers_is_written_without_its_memory(tmp_path):
    model = kgp.GrowPruneModel(
        *kgp.models.lstm_language_model(
            30, units=8, steps=7, batch_size=4, dropout=0.0
        ),
        kgp.Budget(params=0.7),
    )
    draw_weights(model)
    x = np.random.default_rng(0).integers(30, size=(4, 7)).astype("int32")
    first = np.array(model(x, training=False))
    second = np.array(model(x, training=False))
    assert np.abs(first - second).max() > 1e-3
    with pytest.warns(UserWarning, match="each call starts anew"):
        model.export(tmp_path / "m", inputs=x)
    assert kgp.verify(model, tmp_path / "m", x).difference < 1e-5
    file = open_exported(tmp_path / "m")
    ((name, ((count, steps), _)),) = file.inputs.items()
    assert (count, steps) == (None, 7)
    for count in (1, 4, 4):
        (answer,) = file.run({name: x[:count]}).values()
        np.testing.assert_allclose(answer, first[:count], atol=1e-5)


def test_a_fixed_batch_size_stays(tmp_path):
    inputs = keras.Input(batch_shape=(3, 5), name="x")
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    result = kgp.export.export_model(model, tmp_path / "m")
    assert result.samples == 32 and result.difference < 1e-6
    assert open_exported(tmp_path / "m").inputs["x"][0] == (3, 5)
    assert kgp.verify(model, tmp_path / "m", np.ones((7, 5))).samples == 7
    for size in (None, 1):
        with pytest.raises(ValueError, match=f"of 3.*batch_size={size}"):
            kgp.export.export_model(model, tmp_path / "n", batch_size=size)
    assert not (tmp_path / "n").exists()


def test_steps_must_be_fixed_to_quantize_a_recurrent_network(tmp_path):
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, keras.layers.LSTM(4)(inputs))
    with pytest.raises(ValueError, match=r"steps of layer `lstm`.*dynamic"):
        kgp.export.export_model(
            model,
            tmp_path / "m.tflite",
            format="litert",
            quantization="int8",
            representative_dataset=np.ones((8, 5, 3)),
        )
    assert names(tmp_path) == []


def test_sizes_that_are_not_fixed_need_samples(tmp_path):
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(2, 3)(inputs)
    model = keras.Model(inputs, keras.layers.GlobalMaxPooling2D()(x))
    with pytest.raises(ValueError, match="sizes that.*`inputs`.*verify=False"):
        kgp.export.export_model(model, tmp_path / "m")
    x = np.random.default_rng(0).normal(size=(3, 7, 9, 1))
    result = kgp.export.export_model(model, tmp_path / "m", inputs=x)
    assert result.samples == 3 and result.difference < 1e-6


def test_words_are_looked_up_in_the_file_too(tmp_path):
    inputs = keras.Input((3,), dtype="string")
    numbers = keras.layers.StringLookup(vocabulary=["a", "b"])(inputs)
    model = keras.Model(inputs, keras.layers.Embedding(4, 3)(numbers))
    with pytest.raises(ValueError, match="dtype string.*`inputs`"):
        kgp.export.export_model(model, tmp_path / "m")
    words = np.array([["a", "b", "c"]])
    result = kgp.export.export_model(model, tmp_path / "m", inputs=words)
    assert result.difference == 0 and result.largest > 0


def test_text_is_split_in_the_file_too(tmp_path):
    inputs = keras.Input((1,), dtype="string")
    words = keras.layers.TextVectorization(
        vocabulary=["a", "b"], output_sequence_length=3
    )
    model = keras.Model(inputs, keras.layers.Embedding(5, 3)(words(inputs)))
    texts = np.array([["a b c"], ["b"]])
    result = kgp.export.export_model(model, tmp_path / "m", inputs=texts)
    assert result.difference == 0 and result.largest > 0


def test_weights_are_written_once(tmp_path):
    inputs = keras.Input((300,))
    model = keras.Model(inputs, keras.layers.Dense(400)(inputs))
    model.compile("adam", "mse")
    model.fit(np.ones((2, 300)), np.ones((2, 400)), verbose=0)
    kgp.export.export_model(model, tmp_path / "m", verbose=False)
    size = kgp.export.size_on_disk(tmp_path / "m")
    assert size < 1.1 * 4 * model.count_params()


def test_what_is_there_stays_unless_it_is_to_be_replaced(tmp_path):
    model, path = grown(convolutional), tmp_path / "m"
    path.mkdir()
    (path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.export(path)
    assert names(tmp_path) == ["m", "mine.txt"]
    # What is no export is never replaced.
    with pytest.raises(FileExistsError, match="other things.*another path"):
        model.export(path, overwrite=True)
    assert names(tmp_path) == ["m", "mine.txt"]
    (path / "mine.txt").unlink()
    for _ in range(2):  # an empty folder, and an export
        model.export(path, overwrite=True)
        assert kgp.verify(model, path).difference < 1e-6


def test_what_comes_in_the_meantime_stays(tmp_path, monkeypatch):
    module = sys.modules["keras_growprune.export.export_model"]
    write = module.write_saved_model

    def slowly(network, path, batch_size):
        write(network, path, batch_size)
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "mine.txt").write_text("mine")

    monkeypatch.setattr(module, "write_saved_model", slowly)
    with pytest.raises(FileExistsError, match="already"):
        grown(convolutional).export(tmp_path / "m")
    assert names(tmp_path) == ["m", "mine.txt"]


def test_a_file_that_answers_wrongly_is_not_kept(tmp_path, monkeypatch):
    model, path = grown(convolutional), tmp_path / "m"
    model.export(path)
    before = path.stat().st_mtime_ns

    def write(network, path, batch_size):
        wrong = keras.models.clone_model(network)  # of other weights
        wrong.export(str(path), verbose=False)

    module = sys.modules["keras_growprune.export.export_model"]
    monkeypatch.setattr(module, "write_saved_model", write)
    with pytest.raises(RuntimeError, match="does not answer.*was not kept"):
        model.export(path, overwrite=True)
    assert path.stat().st_mtime_ns == before
    monkeypatch.undo()
    assert kgp.verify(model, path).difference < 1e-6


@pytest.mark.slow
def test_a_calibration_that_is_none_is_found_out(tmp_path):
    inputs = keras.Input((8,))
    outputs = keras.layers.Dense(10, use_bias=False)(inputs)
    model = keras.Model(inputs, outputs)
    with pytest.raises(RuntimeError, match="like real inputs"):
        kgp.export.export_model(
            model,
            tmp_path / "m.tflite",
            format="litert",
            quantization="int8",
            representative_dataset=1e-4 * samples(model),
            inputs=samples(model),
        )
    assert names(tmp_path) == []


@pytest.mark.slow
def test_an_operation_that_litert_lacks_is_named(tmp_path):
    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.ops.erfinv(inputs))
    with pytest.raises(ValueError, match="converter does not take"):
        kgp.export.export_model(model, tmp_path / "m.tflite", format="litert")
    assert names(tmp_path) == []


@pytest.mark.slow
def test_a_converter_that_crashes_does_not_end_this_process(tmp_path):
    from keras_growprune.export.litert_converter import convert_to_litert
    from keras_growprune.export.saved_model import write_saved_model

    model = grown(recurrent).compact()
    write_saved_model(model, tmp_path / "m", batch_size=1)
    arrays = {"input_layer": samples(model)}
    with pytest.raises(ValueError, match="ended by SIG.*quantization=None"):
        convert_to_litert(model.name, tmp_path / "m", 1, "int8", arrays)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_full_disk_leaves_nothing_behind(share, tmp_path):
    resource = pytest.importorskip("resource")
    model, path = grown(convolutional), tmp_path / "new" / "m"
    model.export(path)
    most = max(file.stat().st_size for file in path.rglob("*"))
    os.rename(path, tmp_path / "kept")
    path.parent.rmdir()
    before = names(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * most), limits[1]))
    try:
        with pytest.raises(OSError, match="Could not write.*has room"):
            model.export(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == before
    model.export(path)


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path, monkeypatch):
    # Tests may run as root, who may write everywhere.
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(PermissionError, match="Could not write.*may be writ"):
        grown(convolutional).export(tmp_path / "m")
    assert names(tmp_path) == []


@pytest.mark.parametrize("missing", ["tf2onnx", "onnxruntime"])
def test_a_missing_extra_is_named(missing, tmp_path, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *args: None if name == missing else find(name, *args),
    )
    with pytest.raises(ImportError, match=r"pip install .*growprune\[onnx\]"):
        grown(convolutional).export(tmp_path / "m.onnx", format="onnx")
    assert names(tmp_path) == []


# Verifying


def test_differences_are_those_of_the_outputs(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    kernel, bias = np.eye(3, dtype="float32"), np.zeros(3, "float32")
    model.set_weights([kernel, bias])
    kgp.export.export_model(model, tmp_path / "m")
    x = np.array([[1.0, 2, 3], [3, 2, 1], [0, 4, 0], [5, 4.75, 0]])
    assert kgp.verify(model, tmp_path / "m", x).difference == 0
    # The second output rises by a half: only of the last does the class change.
    model.set_weights([kernel, np.array([0, 0.5, 0], "float32")])
    result = kgp.verify(model, tmp_path / "m", x)
    assert result.difference == 0.5 and result.largest == 5.25
    assert result.agreement == 0.75 and result.samples == 4
    outputs = x + [0, 0.5, 0]
    expected = np.sqrt(0.25 / 3) / np.std(outputs)
    assert result.noise == pytest.approx(expected, rel=1e-6)
    assert "agreement 75.0%, 4 samples" in str(result)
    assert result.relative == pytest.approx(0.5 / 5.25)
    assert kgp.export.shortfall(result, is_quantized=True) is None
    told = kgp.export.shortfall(result, is_quantized=False)
    assert "at most 0.0001 of the largest" in told and "0.095 of it" in told


def test_each_output_is_looked_at_by_itself(tmp_path):
    inputs = keras.Input((3,))
    large = keras.layers.Dense(1, kernel_initializer="ones")(1e5 * inputs)
    small = keras.layers.Dense(3, activation="softmax", name="small")(inputs)
    model = keras.Model(inputs, [large, small])
    kgp.export.export_model(model, tmp_path / "m")
    kernel = model.get_layer("small").kernel
    kernel.assign(-kernel)
    result = kgp.verify(model, tmp_path / "m")
    assert result.difference < 1e-5 * result.largest
    assert kgp.export.shortfall(result, is_quantized=False)
    assert kgp.export.shortfall(result, is_quantized=True)


def test_what_is_infinite_in_both_is_the_same(tmp_path):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.ops.log(keras.ops.relu(inputs)))
    x = np.array([[1.0, -1], [2, 3]])
    result = kgp.export.export_model(model, tmp_path / "m", inputs=x)
    assert result.difference == 0 and result.largest == np.log(np.float32(3))


def test_samples_go_to_inputs_by_their_names(tmp_path):
    one, two = keras.Input((2,), name="one"), keras.Input((2,), name="b")
    model = keras.Model([one, two], keras.ops.subtract(one, 2 * two))
    kgp.export.export_model(model, tmp_path / "m")
    one, two = np.array([[1.0, 2]]), np.array([[30.0, 50]])
    expected = kgp.verify(model, tmp_path / "m", [one, two])
    assert expected.largest == 98
    batches = tf.data.Dataset.from_tensors(({"b": two, "one": one}, [0]))
    pairs = tf.data.Dataset.from_tensors(((one, two), [0]))
    for data in ({"b": two, "one": one}, batches, pairs, lambda: iter(pairs)):
        assert kgp.verify(model, tmp_path / "m", data) == expected
    for data in ({"b": two, "three": one}, [one], [one, [[1], [2, 3]]]):
        with pytest.raises(ValueError, match="`inputs`.*'one', 'b'"):
            kgp.verify(model, tmp_path / "m", data)


def test_numbers_that_are_no_integers_are_refused(tmp_path):
    inputs = keras.Input((2,), dtype="uint8")
    x = keras.ops.cast(inputs, "float32")
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    for wrong in ([[0.25, 1.0]], [[256, 0]], [[-1, 0]]):
        with pytest.raises(ValueError, match="integers.*uint8"):
            kgp.export.export_model(
                model, tmp_path / "m", inputs=np.array(wrong)
            )
    kgp.export.export_model(model, tmp_path / "m", inputs=[[3.0, 255.0]])


@pytest.mark.parametrize("name", ["x-y", "a b", "1x", "self", "ü", "_x"])
def test_any_name_of_an_input_can_be_served(name, tmp_path):
    a, b = keras.Input((2,), name=name), keras.Input((2,), name="other")
    x = keras.layers.Dense(2)(keras.layers.Add()([a, b]))
    model = keras.Model([a, b], {name.replace("/", ""): x})
    result = kgp.export.export_model(model, tmp_path / "m")
    assert result.difference < 1e-6 and result.largest > 0


def test_inside_a_scope_of_replicas_it_is_refused(tmp_path):
    from tests.distribution.replicas import two_replicas

    model = grown(convolutional)
    with two_replicas().scope():
        with pytest.raises(ValueError, match="behind that block"):
            model.export(tmp_path / "m")
    assert names(tmp_path) == []


def test_files_of_nobody_are_refused(tmp_path):
    model = grown(convolutional)
    with pytest.raises(FileNotFoundError, match="no exported file"):
        kgp.verify(model, tmp_path / "m.tflite")
    (tmp_path / "m.txt").write_text("")
    with pytest.raises(ValueError, match=r"m\.txt"):
        kgp.verify(model, tmp_path / "m.txt")
    (tmp_path / "m.tflite").write_bytes(b"no such file")
    with pytest.raises(RuntimeError, match="does not run it"):
        kgp.verify(model, tmp_path / "m.tflite")
    with pytest.raises(ValueError, match=r"m\.tflite` does not take it"):
        open_exported(tmp_path / "m.tflite")


def test_a_file_of_another_network_is_told(tmp_path):
    grown(convolutional).export(tmp_path / "m")
    inputs = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Dense(3, name="scores")(keras.layers.Flatten()(inputs))
    with pytest.raises(RuntimeError, match=r"\(32, 3\).*\(32, 10\)"):
        kgp.verify(keras.Model(inputs, x), tmp_path / "m")

import errno
import os
import sys

import keras
import numpy as np
import pytest

import keras_growprune as kgp
from keras_growprune.runtimes import open_exported
from tests.export.exported_networks import convolutional
from tests.export.exported_networks import draw_weights
from tests.export.exported_networks import grown
from tests.export.exported_networks import names
from tests.export.exported_networks import recurrent
from tests.export.exported_networks import samples

ENDINGS = kgp.export.FORMATS


REFUSED = {
    "format": (dict(format="tflite"), r"one of.*'tflite'.*mean 'litert'\?"),
    "no name": (dict(format=1), "one of.*format=1$"),
    "a folder's name": (
        dict(path="m.tflite", format="tf_saved_model"),
        r"SavedModel is a folder.*m\.tflite.*Leave `format` out",
    ),
    "a file of Keras": (dict(path="m.keras"), r"`model\.compact\(\)\.save"),
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

    def find_all_but_one(name, *args):
        if name in ("tf2onnx", "onnx", "onnxruntime"):  # here or not
            return None if name == missing else find("json")
        return find(name, *args)

    monkeypatch.setattr("importlib.util.find_spec", find_all_but_one)
    with pytest.raises(ImportError, match=rf"pip install {missing}`.*\[onnx\]"):
        grown(convolutional).export(tmp_path / "m.onnx", format="onnx")
    assert names(tmp_path) == []

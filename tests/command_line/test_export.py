import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_growprune.runtimes import format_of
from keras_growprune.runtimes import open_exported
from tests.command_line.small_files import convolutional
from tests.command_line.small_files import growing
from tests.command_line.small_files import run
from tests.command_line.small_files import saved

onnx = pytest.mark.skipif(
    "not __import__('importlib.util').util.find_spec('tf2onnx')",
    reason="needs the extra `onnx`",
)


def test_folder_is_a_saved_model_that_answers_alike(tmp_path, capsys):
    model = growing()
    path = saved(model, tmp_path, "growing.keras")
    output = str(tmp_path / "exported" / "1")
    assert run("export", path, output) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"wrote {output}: SavedModel, ")
    assert second.startswith("verified: ") and "32 samples" in second
    x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    answers = tf.saved_model.load(output)(tf.constant(x))
    np.testing.assert_allclose(answers, model(x, training=False), atol=1e-6)


def test_samples_of_a_file_verify(tmp_path, capsys):
    left = keras.Input((4,), name="left")
    right = keras.Input((3,), name="right")
    x = keras.layers.Concatenate()([left, right])
    # The order of the inputs is not the alphabet's.
    model = keras.Model([right, left], keras.layers.Dense(2)(x))
    path = saved(model, tmp_path, "two.keras")
    arrays = {"left": np.ones((7, 4)), "right": np.zeros((7, 3))}
    np.savez(tmp_path / "named.npz", **arrays)
    np.savez(tmp_path / "in_order.npz", arrays["right"], arrays["left"])
    for name in ("named", "in_order"):
        inputs = f"--inputs={tmp_path / name}.npz"
        assert run("export", path, str(tmp_path / name), inputs) == 0
        assert "7 samples" in capsys.readouterr().out
    np.savez(tmp_path / "wrong.npz", left=arrays["left"], middle=[1])
    np.save(tmp_path / "objects.npy", np.array([{}]))
    (tmp_path / "text.npz").write_text("text")
    for name, message in (
        ("wrong.npz", "['right', 'left']"),
        ("objects.npy", "numpy.save"),
        ("text.npz", "numpy.save"),
        ("nothing.npy", "no file of samples"),
    ):
        inputs = f"--inputs={tmp_path / name}"
        assert run("export", path, str(tmp_path / "no"), inputs) == 1
        captured = capsys.readouterr()
        assert message in captured.err and captured.err.count("\n") == 1
        assert not (tmp_path / "no").exists()


def test_what_is_there_is_replaced_on_demand_only(tmp_path, capsys):
    path = saved(convolutional(), tmp_path, "plain.keras")
    output = tmp_path / "exported"
    output.write_bytes(b"before")
    arguments = ["export", path, str(output), "--noverify"]
    assert run(*arguments) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert output.read_bytes() == b"before"
    assert run(*arguments, "--overwrite") == 0
    assert format_of(output) == "tf_saved_model"
    assert capsys.readouterr().out.splitlines()[1] == "not verified"


@pytest.mark.parametrize(
    "output, flag",
    [
        ("small.keras", "--noverify"),
        ("small.tflite", "--quantization=int8"),
        ("small.tflite", "--representative=samples.npy"),
        ("small.tflite", "--quantization=int4"),
        ("small", "--batch_size=-1"),
        ("small", "--format=pytorch"),
        ("small", "--format=litert"),
        ("small.tflite", "--format=tf_saved_model"),
    ],
)
def test_flags_that_do_not_go_together(output, flag, tmp_path, capsys):
    path = saved(convolutional(), tmp_path, "plain.keras")
    capsys.readouterr()
    assert run("export", path, str(tmp_path / output), flag) == 2
    error, usage, _ = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ") and usage.startswith("usage: ")
    assert not (tmp_path / output).exists()


@pytest.mark.slow
def test_litert_file_in_8_bits(tmp_path, capsys):
    path = saved(convolutional(), tmp_path, "plain.keras")
    samples = np.random.default_rng(0).normal(size=(64, 4, 4, 1))
    np.save(tmp_path / "samples.npy", samples)
    output = str(tmp_path / "small.tflite")
    assert 0 == run(
        "export",
        path,
        output,
        "--quantization=int8",
        f"--representative={tmp_path / 'samples.npy'}",
        "--integer_io",
        "--batch_size=2",
    )
    text = capsys.readouterr().out
    assert "LiteRT (int8)" in text and "64 samples" in text
    assert open_exported(output).inputs == {"image": ((2, 4, 4, 1), "int8")}


@pytest.mark.slow
def test_litert_file_of_any_batch_size(tmp_path, capsys):
    path = saved(convolutional(), tmp_path, "plain.keras")
    output = str(tmp_path / "small.tflite")
    assert run("export", path, output, "--batch_size=0") == 0
    ((shape, _),) = open_exported(output).inputs.values()
    assert shape == (None, 4, 4, 1)


@onnx
@pytest.mark.slow
def test_onnx_file_by_its_ending(tmp_path, capsys):
    path = saved(growing(), tmp_path, "growing.keras")
    output = str(tmp_path / "small.onnx")
    assert run("export", path, output, "--opset=13") == 0
    assert f"wrote {output}: ONNX, " in capsys.readouterr().out
    assert format_of(output) == "onnx"

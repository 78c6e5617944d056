import numpy as np
import pytest

import keras_growprune as kgp
from tests.command_line.small_files import convolutional
from tests.command_line.small_files import growing
from tests.command_line.small_files import row
from tests.command_line.small_files import run
from tests.command_line.small_files import saved


def exported(model, path, *arguments, **kwargs):
    kgp.export.export_model(
        model, path, *arguments, verify=False, verbose=False, **kwargs
    )
    return str(path)


def test_exit_status_tells_whether_a_file_answers_alike(tmp_path, capsys):
    model = growing()
    path = saved(model, tmp_path, "growing.keras")
    output = exported(model, tmp_path / "exported")
    assert run("verify", path, output) == 0
    text = capsys.readouterr().out
    assert row(text, "samples") == ["samples", "32"]
    assert row(text, "numbers") == ["numbers", "float"]
    assert f"{output} answers like {path}" in text

    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([kernel, bias + 0.001])
    other = saved(model, tmp_path, "other.keras")
    assert run("verify", other, output) == 1
    captured = capsys.readouterr()
    assert f"{output} does not answer like {other}" in captured.out
    assert "largest difference  0.001 " in captured.out
    assert run("verify", other, output, "--tolerance=0.01") == 0
    assert run("verify", other, output, "--tolerance=0.0001") == 1


def test_tolerance_grows_with_large_outputs(tmp_path, capsys):
    model = growing()
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([kernel, bias + 1000])
    output = exported(model, tmp_path / "exported")
    model.get_layer("scores").set_weights([kernel, bias + 1000.05])
    path = saved(model, tmp_path, "growing.keras")
    assert run("verify", path, output) == 0  # 0.05 of at most 0.1
    assert run("verify", path, output, "--tolerance=1e-5") == 1


def test_agreement_may_be_asked_for(tmp_path, capsys):
    model = growing()
    output = exported(model, tmp_path / "exported")
    kernel, bias = model.get_layer("scores").get_weights()
    # Another class is named.
    model.get_layer("scores").set_weights([-kernel, bias])
    path = saved(model, tmp_path, "growing.keras")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(9, 5)))
    arguments = [path, output, "--tolerance=9", f"--inputs={tmp_path}/x.npy"]
    assert run("verify", *arguments) == 0
    assert row(capsys.readouterr().out, "samples") == ["samples", "9"]
    assert run("verify", *arguments, "--agreement=0.9") == 1
    assert "agreement of at least 90.0%" in capsys.readouterr().out


def test_saved_model_of_keras_is_no_exported_file(tmp_path, capsys):
    path = saved(growing(), tmp_path, "growing.keras")
    assert run("verify", path, path) == 1
    assert "EXPORTED must be" in capsys.readouterr().err
    assert run("verify", path, str(tmp_path / "nothing.onnx")) == 1
    assert "There is nothing at" in capsys.readouterr().err


@pytest.mark.slow
def test_files_in_8_bits_have_noise(tmp_path, capsys):
    model = convolutional()
    x = np.random.default_rng(0).normal(size=(64, 4, 4, 1)).astype("float32")
    path = saved(model, tmp_path, "plain.keras")
    output = exported(
        model,
        tmp_path / "small.tflite",
        "litert",
        quantization="int8",
        representative_dataset=x,
    )
    np.save(tmp_path / "x.npy", x)
    arguments = [path, output, f"--inputs={tmp_path}/x.npy"]
    assert run("verify", *arguments) == 0
    text = capsys.readouterr().out
    assert row(text, "numbers") == ["numbers", "8-bit"]
    assert 0.001 < float(row(text, "noise")[1]) < 0.1
    assert run("verify", *arguments, "--noise=0.001") == 1
    assert "noise of at most 0.001" in capsys.readouterr().out
    floats = exported(model, tmp_path / "floats.tflite", "litert")
    assert run("verify", path, floats) == 0
    text = capsys.readouterr().out
    assert row(text, "numbers") == ["numbers", "float"]

import keras
import pytest

import keras_growprune as kgp
from tests.command_line.small_files import convolutional
from tests.command_line.small_files import growing
from tests.command_line.small_files import row
from tests.command_line.small_files import run
from tests.command_line.small_files import saved


def test_costs_and_ratios(tmp_path, capsys):
    first = saved(growing(width=8), tmp_path, "first.keras")
    second = saved(growing(width=4), tmp_path, "second.keras")
    plain = saved(convolutional(), tmp_path, "plain.keras")
    assert run("compare", first, second, plain, "--runtimes=") == 0
    text = capsys.readouterr().out
    assert row(text, first)[1:5] == ["75", "(1.00)", "64", "(1.00)"]
    assert row(text, second)[1:5] == ["39", "(0.52)", "32", "(0.50)"]
    assert row(text, plain)[1:5] == ["119", "(1.59)", "384", "(6.00)"]
    assert "tensorflow" not in text and "Times" not in text


def test_models_and_files_are_timed_in_a_common_runtime(tmp_path, capsys):
    model = growing()
    path = saved(model, tmp_path, "growing.keras")
    output = str(tmp_path / "exported")
    kgp.export.export_model(model, output, verify=False, verbose=False)
    assert run("compare", path, output, "--runtimes=tensorflow") == 0
    text = capsys.readouterr().out
    assert "│ tensorflow, ms │" in text.split("\n")[1]
    assert "litert" not in text and "batch 1," in text
    for each in (path, output):
        milliseconds, ratio = row(text, each)[-2:]
        assert 0 < float(milliseconds) < 1000 and float(ratio[1:-1]) > 0
    assert row(text, output)[1:3] == ["-", "-"]


def test_what_cannot_be_told_is_said_below(tmp_path, capsys):
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(2, 3)(inputs)
    sizes = saved(keras.Model(inputs, x), tmp_path, "any.keras")
    plain = saved(convolutional(), tmp_path, "plain.keras")
    assert run("compare", sizes, plain, "--runtimes=tensorflow") == 0
    text = capsys.readouterr().out
    assert row(text, sizes)[1:4] == ["20", "(1.00)", "-"]
    assert f"FLOPs of {sizes} are not known." in text
    assert f"{sizes} in tensorflow: Input " in text
    assert "must have a fixed size, so that it can be timed" in text
    # The first that has a number.
    assert row(text, plain)[3:5] == ["384", "(1.00)"]


def test_usage(tmp_path, capsys):
    plain = saved(convolutional(), tmp_path, "plain.keras")
    capsys.readouterr()
    assert run("compare", plain) == 2
    assert "2 files or more, not 1" in capsys.readouterr().err
    assert run("compare", plain, plain, "--runtimes=torch,litert") == 2
    assert "not torch" in capsys.readouterr().err
    assert run("compare", plain, str(tmp_path / "nothing.tflite")) == 1
    assert "There is nothing at" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 4])
def test_all_runtimes(size, tmp_path, capsys):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    model = convolutional()
    files = [saved(model, tmp_path, "plain.keras")]
    for name in ("small.tflite", "small.onnx", "exported"):
        path = str(tmp_path / name)
        flag = f"--batch_size={size}"
        assert run("export", files[0], path, "--noverify", flag) == 0
        files.append(path)
    capsys.readouterr()
    assert run("compare", *files, f"--batch_size={size}") == 0
    text = capsys.readouterr().out
    assert f"batch {size}, on this machine" in text.splitlines()[-1]
    cells = [row(text, path)[-6:] for path in files]
    assert [line.count("-") for line in cells] == [1, 2, 2, 2]
    for line in cells:
        assert all(float(x) > 0 for x in line if x[0].isdigit())

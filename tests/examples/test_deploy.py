import re

import keras
import pytest

import keras_growprune as kgp
from tests.examples.running import run_example

pytestmark = pytest.mark.slow


def numbers(output, label):
    """The two numbers of each row with a label."""
    rows = re.findall(rf"^ *{label} +([\d.,]+)%? +([\d.,]+)%?", output, re.M)
    return [[float(n.replace(",", "")) for n in row] for row in rows]


def test_both_networks_are_written_measured_and_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    output = run_example(
        "deploy",
        "--model=resnet8",
        "--width=0.5",
        "--measure=flops",
        "--budget=0.5",
        "--epochs=3",
        "--rounds=3",
        f"--folder={tmp_path}",
    )
    ((full, grown),) = numbers(output, "FLOPs")
    assert 0.45 * full < grown <= 0.5 * full
    assert len(numbers(output, "accuracy")) == 4
    for before, after in numbers(output, "kilobytes"):
        assert after < before
    assert all(min(row) > 0 for row in numbers(output, "latency, ms"))
    names = {str(p.relative_to(tmp_path)) for p in tmp_path.glob("*/*")}
    assert names == {
        f"{network}/{name}"
        for network in ("full", "grown")
        for name in (
            "tensorflow",
            "litert.tflite",
            "litert_int8.tflite",
            "onnx_runtime.onnx",
        )
    }
    assert (tmp_path / "deployed.png").stat().st_size > 10_000
    # What is told of a file is true of it.
    size = kgp.export.size_on_disk(tmp_path / "grown" / "litert.tflite")
    assert numbers(output, "kilobytes")[1][1] == pytest.approx(
        size / 1000, abs=0.06
    )
    layer = keras.layers.TFSMLayer(
        str(tmp_path / "grown" / "tensorflow"), "serving_default"
    )
    assert list(layer(keras.ops.zeros((2, 8, 8, 1))).values())[0].shape == (
        2,
        10,
    )

import keras
import numpy as np
import pytest

from tests.command_line.small_files import convolutional
from tests.command_line.small_files import growing
from tests.command_line.small_files import row
from tests.command_line.small_files import run
from tests.command_line.small_files import saved


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_plain_network_is_written_and_its_costs_are_told(tmp_path, capsys):
    model = growing(width=4)
    path = saved(model, tmp_path, "growing.keras")
    output = str(tmp_path / "new" / "small.keras")
    assert run("compact", path, output) == 0
    text = capsys.readouterr().out
    assert f"wrote {output}, " in text
    assert row(text, "full") == ["full", "network", "75", "64"]
    assert row(text, "compact") == ["compact", "network", "39", "32"]
    assert row(text, "52.0%") == ["52.0%", "50.0%"]
    assert "still growing" in text
    plain = keras.models.load_model(output)
    classes = {type(layer).__module__.split(".")[0] for layer in plain.layers}
    assert classes == {"keras"}
    x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    np.testing.assert_allclose(plain(x), model(x, training=False), atol=1e-6)


def test_settled_model_is_not_said_to_grow(tmp_path, capsys):
    model = growing()
    model.settle()
    path = saved(model, tmp_path, "growing.keras")
    assert run("compact", path, str(tmp_path / "small.keras")) == 0
    assert "growing:" not in capsys.readouterr().out


def test_plain_model_is_refused(tmp_path, capsys):
    path = saved(convolutional(), tmp_path, "plain.keras")
    assert run("compact", path, str(tmp_path / "small.keras")) == 1
    captured = capsys.readouterr()
    assert "is a plain model already" in captured.err
    assert captured.err.count("\n") == 1 and not captured.out
    assert names(tmp_path) == ["plain.keras"]


def test_file_of_keras_is_written_only(tmp_path, capsys):
    path = saved(growing(), tmp_path, "growing.keras")
    assert run("compact", path, str(tmp_path / "small.h5")) == 2
    assert "must end with .keras" in capsys.readouterr().err
    assert names(tmp_path) == ["growing.keras"]


def test_what_is_there_is_replaced_on_demand_only(tmp_path, capsys):
    path = saved(growing(), tmp_path, "growing.keras")
    output = tmp_path / "small.keras"
    output.write_bytes(b"before")
    assert run("compact", path, str(output)) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert output.read_bytes() == b"before"
    assert run("compact", path, str(output), "--overwrite") == 0
    assert keras.models.load_model(output).count_params() == 39


@pytest.mark.parametrize("exists", [False, True])
def test_half_a_file_is_not_left(exists, tmp_path, capsys, monkeypatch):
    path = saved(growing(), tmp_path, "growing.keras")
    output = tmp_path / "small.keras"
    if exists:
        output.write_bytes(b"before")
    before = names(tmp_path)

    def fail(self, filepath, **kwargs):
        filepath.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", fail)
    assert run("compact", path, str(output), "--overwrite") == 1
    captured = capsys.readouterr()
    assert "No space left" in captured.err and not captured.out
    assert captured.err.startswith("error: Could not write")
    assert names(tmp_path) == before
    if exists:
        assert output.read_bytes() == b"before"

import os
import pathlib
import subprocess
import sys

import keras
import pytest
from absl import flags

from keras_growprune.command_line.dispatch import COMMANDS
from tests.command_line.small_files import convolutional
from tests.command_line.small_files import run
from tests.command_line.small_files import saved

ROOT = pathlib.Path(__file__).parents[2]


class Doubled(keras.layers.Layer):
    """A layer that is registered nowhere."""

    def call(self, inputs):
        return 2 * inputs


MODULE = """
import keras

class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs
"""


def test_the_guide_shows_the_help_as_it_is(capsys):
    assert run("--help") == 0
    guide = (ROOT / "docs/guides/command_line.md").read_text(encoding="utf-8")
    assert f"--help\n{capsys.readouterr().out}```" in guide


def test_help_is_no_error(capsys):
    for arguments in (["--help"], ["-h"], ["help"]):
        assert run(*arguments) == 0
    text = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"  {command.form} " in text
        for flag in ("--help", "-h"):
            assert run(name, flag) == 0
        captured = capsys.readouterr()
        assert f"usage: python -m keras_growprune {command.form}" in (
            captured.out
        )
        assert not captured.err
        assert "--import=MODULE" in captured.out or name == "diff"
        assert "repeat this option" not in captured.out  # what absl adds
        assert max(map(len, captured.out.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments, wrong",
    [
        ([], "no command given"),
        (["reprt", "a.keras"], "unknown command: reprt"),
        (["report"], "report takes 1 file, not 0"),
        (["report", "a.keras", "b.keras"], "report takes 1 file, not 2"),
        (["compact", "a.keras"], "compact takes 2 files, not 1"),
        (["report", "a.keras", "--colour"], "flag 'colour'"),
        (["verify", "a.keras", "b.onnx", "--noise=much"], "--noise=much"),
    ],
)
def test_wrong_usage(arguments, wrong, capsys):
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    error, usage, *_ = captured.err.splitlines()
    assert error.startswith("error: ") and wrong in error
    assert usage.startswith("usage: python -m keras_growprune ")
    assert not captured.out


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("nothing.keras", None, "There is nothing at"),
        ("damaged.keras", b"damaged", "Could not load"),
        ("damaged.h5", b"damaged", "Could not load"),
        ("damaged.tflite", 20 * b"damaged", "does not take it"),
        ("other.txt", b"text", "must be a saved model"),
    ],
)
def test_files_that_are_none(name, content, message, tmp_path, capsys):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert run("report", str(path)) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and message in captured.err
    assert name in captured.err and captured.err.count("\n") == 1
    assert not captured.out


@pytest.mark.skipif(
    keras.__version__.startswith("3.8."),
    reason="Keras 3.8 finds the class of a test by itself",
)
def test_layers_of_a_user_are_imported(tmp_path, capsys, monkeypatch):
    model = keras.Sequential([keras.Input((4,)), Doubled()])
    model.add(keras.layers.Dense(2))
    path = saved(model, tmp_path, "own.keras")
    capsys.readouterr()
    assert run("report", path) == 1
    error = capsys.readouterr().err
    assert "class `Doubled`, which is not known" in error
    assert "--import=MODULE" in error and error.count("\n") == 1

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "shell_doubled", raising=False)
    pathlib.Path("shell_doubled.py").write_text(MODULE)
    pathlib.Path("shell_other.py").write_text("")
    pathlib.Path("shell_broken.py").write_text("1 / 0")
    narrow = MODULE + "    def __init__(self):\n        super().__init__()\n"
    pathlib.Path("shell_narrow.py").write_text(narrow)
    assert run("report", path, "--import=shell_other") == 1
    assert "Received: --import of shell_other" in capsys.readouterr().err
    assert run("report", path, "--import=shell_narrow") == 1
    assert "unexpected keyword argument" in capsys.readouterr().err
    modules = ["--import=shell_other", "--import", "shell_doubled"]
    assert run("report", path, *modules) == 0
    assert "dense" in capsys.readouterr().out
    assert run("report", path, "--import=shell_nowhere") == 1
    assert "Could not import `shell_nowhere`" in capsys.readouterr().err
    assert run("report", path, "--import=shell_broken") == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_flags_of_users_are_left_alone(tmp_path, capsys):
    before = set(flags.FLAGS)
    # Some are flags of several commands, with other meanings.
    assert run("export", "--help") == run("compare", "--help") == 0
    path = saved(convolutional(), tmp_path, "plain.keras")
    assert run("report", path) == 0
    assert set(flags.FLAGS) == before
    assert not before & {"import", "representative", "runtimes"}


@pytest.mark.slow
def test_it_runs_as_a_module(tmp_path):
    path = saved(convolutional(), tmp_path, "plain.keras")
    done = subprocess.run(
        [sys.executable, "-m", "keras_growprune", "report", path],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path}: model 'convolutional', ")
    assert "Traceback" not in done.stderr

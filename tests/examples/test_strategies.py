"""The examples on several replicas, and as several workers."""

import json
import re
import subprocess
import sys

import keras
import language_training
import numpy as np
import pytest
from absl import app

from tests.examples.running import FOLDER
from tests.examples.running import run_example

SMALL = (
    "--model=resnet8",
    "--measure=flops",
    "--width=0.25",
    "--budget=0.4",
    "--examples=200",
    "--batch_size=32",
)
# Breaks off once, in worker 1 at the beginning of the third epoch.
DIES_ONCE = """
import json, os, pathlib, runpy, signal, sys

import keras_growprune as kgp

folder, marker, *sys.argv = sys.argv[1:]
sys.path.insert(0, folder)
is_first_time = not os.path.exists(marker)
on_epoch_begin = kgp.callbacks.BackupAndRestore.on_epoch_begin


def die(self, epoch, logs=None):
    on_epoch_begin(self, epoch, logs)
    place = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    if place == 1 and epoch == 2 and is_first_time:
        pathlib.Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)


kgp.callbacks.BackupAndRestore.on_epoch_begin = die
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def classify(folder, *arguments):
    return run_example(
        "image_classification", f"--output={folder}", *SMALL, *arguments
    )


def launch(*arguments):
    """What `python examples/launch_workers.py` prints, without the numbers."""
    result = subprocess.run(
        [sys.executable, str(FOLDER / "launch_workers.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    other = [line for line in lines if line.startswith("[1]")]
    assert set(other) == {"[1] worker 1 of 2: worker 0 prints"}
    return "\n".join(line.removeprefix("[0] ") for line in lines)


def epochs(output):
    return re.findall(r"^epoch +\d.*", output, re.MULTILINE)


@pytest.mark.slow
def test_the_main_job_trains_on_several_replicas(tmp_path):
    output = classify(tmp_path, "--strategy=mirrored", "--epochs=2")
    for name in ("full", "uniformly narrow", "grown"):
        assert re.search(rf"^{name} .*%.*\([\d.]+\)", output, re.MULTILINE)
    assert len(epochs(output)) == 2
    assert "settled, budget Budget(flops=0.4)" in output
    assert output.count("answers differ by") == 2
    assert (tmp_path / "saved_model" / "saved_model.pb").exists()


@pytest.mark.slow
def test_a_trained_network_is_halved_on_several_replicas(tmp_path):
    output = run_example(
        "prune_trained",
        "--strategy=mirrored",
        f"--output={tmp_path}",
        "--width=0.25",
        "--epochs=1",
        "--pruning_epochs=2",
    )
    assert "settled, budget Budget(flops=0.5)" in output
    small = keras.models.load_model(tmp_path / "pruned.keras")
    assert f"{small.count_params():,}" in output


@pytest.fixture
def text(tmp_path):
    """Folder with a text in which each of six words follows another one."""
    folder = tmp_path / "text"
    folder.mkdir()
    line = " ".join("abcdef"[i % 6] for i in range(29)) + "\n"
    for part, lines in (("train", 70), ("valid", 16), ("test", 16)):
        (folder / f"{part}.txt").write_text(line * lines)
    return folder


@pytest.mark.slow
def test_a_language_model_carries_the_states_of_its_replicas(text, tmp_path):
    output = run_example(
        "language_modeling",
        "--strategy=mirrored",
        f"--data={text}",
        f"--output={tmp_path}",
        "--units=12",
        "--epochs=3",
        "--budget=0.5",
        "--residual",
    )
    rows = re.findall(
        r"^(full|uniformly narrow|grown) +([\d.]+) ", output, re.MULTILINE
    )
    assert [row[0] for row in rows] == ["full", "uniformly narrow", "grown"]
    assert all(float(row[1]) < 9 for row in rows)  # chance: of eight words
    # It reads as many streams as one replica did.
    small = keras.models.load_model(tmp_path / "compact.keras")
    assert small.input_shape == (10, 20)


@pytest.mark.slow
def test_two_workers_train_as_two_replicas_do(tmp_path):
    arguments = ("--epochs=2", f"--output={tmp_path}", *SMALL)
    output = launch(
        "--",
        str(FOLDER / "image_classification.py"),
        "--strategy=multi_worker",
        *arguments,
    )
    assert re.search(r"^full +- +[\d,]+ \(1.00\).* -$", output, re.MULTILINE)
    assert re.search(r"^grown +[\d.]+% .*\(0.\d\d\)", output, re.MULTILINE)
    assert output.count("answers differ by") == 2
    network = keras.models.load_model(tmp_path / "compact.keras")
    assert np.isfinite(network.predict(np.zeros((1, 8, 8, 1)), verbose=0)).all()
    mirrored = classify(tmp_path, "--strategy=mirrored", "--epochs=2")
    assert epochs(output) == epochs(mirrored)


@pytest.mark.slow
def test_a_run_goes_on_when_a_worker_has_died(tmp_path):
    program = tmp_path / "dies_once.py"
    program.write_text(DIES_ONCE)
    output = launch(
        "--restarts=1",
        "--",
        str(program),
        str(FOLDER),
        str(tmp_path / "died"),
        str(FOLDER / "image_classification.py"),
        "--strategy=multi_worker",
        f"--backup={tmp_path / 'backup'}",
        f"--output={tmp_path}",
        "--epochs=4",
        *SMALL,
    )
    assert "[launcher] worker 1 ended with exit code 137" in output
    before, after = output.split("[launcher] starting all again")
    assert [line.split()[1] for line in epochs(before)] == ["1", "2"]
    assert "going on after epoch 2\n" in after
    assert [line.split()[1] for line in epochs(after)] == ["3", "4"]
    assert "training so far: 4 epochs" in after
    assert output.count("answers differ by") == 2
    assert not (tmp_path / "backup").exists()


def config(workers=("a:1", "b:1"), kind="worker", index=0):
    return json.dumps(
        {"cluster": {"worker": workers}, "task": {"type": kind, "index": index}}
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "needs the environment variable TF_CONFIG"),
        ("{", "JSONDecodeError"),
        ("[]", "AttributeError"),
        ("{}", "names no workers"),
        (config(workers=[]), "names no workers"),
        (config(index=2), r"task \('worker', 2\) is none of"),
        (config(kind="ps"), r"task \('ps', 0\) is none of"),
        ('{"cluster": {"worker": ["a:1"]}}', "KeyError: 'task'"),
    ],
)
def test_a_worker_that_is_not_told_its_place_says_so(
    text, message, tmp_path, monkeypatch
):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(app.UsageError, match=message) as error:
        classify(tmp_path, "--strategy=multi_worker")
    assert "launch_workers.py" in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("strategy", ["none", "mirrored"])
def test_workers_do_not_train_each_for_itself(strategy, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config())
    with pytest.raises(app.UsageError, match="Use --strategy=multi_worker"):
        classify(tmp_path, f"--strategy={strategy}")


def test_a_machine_without_tpu_says_so(tmp_path):
    with pytest.raises(app.UsageError, match="No TPU was found"):
        classify(tmp_path, "--strategy=tpu")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--backup=x", "--seeds=2"], "leave out --seeds"),
        (["--strategy=mirrored", "--batch_size=1"], "each of 2 replicas"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    arguments, message, tmp_path
):
    with pytest.raises(app.UsageError, match=message):
        classify(tmp_path, *arguments)


def test_streams_that_cannot_be_dealt_out_are_refused(text, monkeypatch):
    recipe = language_training.Recipe(8, 20, 0.0, 0.1, 5.0, 2, 1, 0.5, 7)
    monkeypatch.setitem(language_training.RECIPES, "tiny", recipe)
    with pytest.raises(app.UsageError, match="7 streams.* to 2 replicas"):
        run_example(
            "language_modeling", "--strategy=mirrored", f"--data={text}"
        )

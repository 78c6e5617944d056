"""A training process that is killed and started again, at any moment."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).parent / "killed_training.py"

needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="kills copies of one process"
)


def kill_and_restart(folder, kills, seed):
    """Starts the program; returns what it says of two runs."""
    command = [sys.executable, PROGRAM, folder, str(kills), str(seed)]
    root = pathlib.Path(__file__).parents[2]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def check(told, kills):
    assert len(told["killed"]) == kills
    assert told["whole"] == told["restarted"]
    assert told["whole"]["settled"]
    assert not told["left"]  # no backup, no part of one


@pytest.mark.slow
@needs_fork
def test_a_killed_training_ends_as_one_that_was_not(tmp_path):
    told = kill_and_restart(tmp_path, kills=4, seed=0)
    check(told, kills=4)
    assert {"time", "write", "replace"} <= set(told["killed"])


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_training_killed_twenty_times_ends_as_one_that_was_not(
    seed, tmp_path
):
    check(kill_and_restart(tmp_path, kills=20, seed=seed), kills=20)

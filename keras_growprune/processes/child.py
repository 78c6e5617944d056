"""Starts a process, tells it what to do, reads what it did."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import numpy as np

# The package as a mere place of modules: importing it would import TensorFlow.
_START = """
import importlib, sys, types
package = types.ModuleType("keras_growprune")
package.__path__ = [sys.argv[1]]
sys.modules["keras_growprune"] = package
importlib.import_module("keras_growprune.processes.served").main(*sys.argv[2:])
"""


class ChildError(RuntimeError):
    """What a process of its own failed with.

    Args:
        message: What happened, in one line.

    Attributes:
        crashed: Whether the process was ended, without an error of Python.
        output: What it printed.
    """

    def __init__(self, message, crashed=False, output=""):
        super().__init__(message)
        self.crashed, self.output = crashed, output


def run_in_child(task, request, arrays=None):
    """Runs a task in a process of its own.

    Args:
        task: Name of a module of `keras_growprune.processes` with a function
            `main(request, arrays)` that returns a dict of arrays.
        request: A dict that JSON can hold.
        arrays: Dict of arrays, or None.

    Returns:
        What `main` returned.

    Raises:
        ChildError: If it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "request.json").write_text(json.dumps(request))
        np.savez(folder / "arrays.npz", **(arrays or {}))
        done = run_python(
            "-c",
            _START,
            str(pathlib.Path(__file__).parents[1]),
            task,
            str(folder),
        )
        result, error = folder / "result.npz", folder / "error.txt"
        if error.exists():
            raise ChildError(error.read_text("utf-8"), output=done.stdout)
        if done.returncode or not result.exists():
            raise ChildError(
                how_it_ended(done.returncode), crashed=True, output=done.stdout
            )
        with np.load(result) as content:
            return dict(content)


def run_python(*arguments):
    """Runs Python with arguments; returns a `CompletedProcess`."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            path for path in sys.path if path and isinstance(path, str)
        ),
        # The accelerator's memory belongs to the process that trains.
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    # Other packages set it in this process, for themselves.
    environment.pop("TF_USE_LEGACY_KERAS", None)
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def how_it_ended(code):
    """What a process ended with, in words."""
    if code >= 0:
        return f"its process ended with exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"its process was ended by {name}"

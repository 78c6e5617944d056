"""The other side of `child`: what the process does."""

import importlib
import json
import pathlib

import numpy as np


def main(task, folder):
    """Runs a task and writes what it returned, or its error.

    Args:
        task: Name of a module of `keras_growprune.processes`.
        folder: Where the request is, and where results go.
    """
    folder = pathlib.Path(folder)
    try:
        module = importlib.import_module(f"keras_growprune.processes.{task}")
        request = json.loads((folder / "request.json").read_text())
        with np.load(folder / "arrays.npz") as content:
            arrays = dict(content)
        result = module.main(request, arrays)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        (folder / "error.txt").write_text(text, encoding="utf-8")
        return
    np.savez(folder / "part.npz", **result)
    (folder / "part.npz").rename(folder / "result.npz")

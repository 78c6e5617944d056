"""Trainings in processes of their own, and the small files they write."""

import concurrent.futures
import json
import os
import platform
import subprocess
import sys

import keras
import tensorflow as tf

_ONE_THREAD = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
FROM_SCRATCH = "_from_scratch"


def write(path, content):
    """Writes a JSON file as a whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content) + "\n")
    part.rename(path)


def versions():
    """What a cell was trained with, a dict."""
    return {
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "machine": platform.machine(),
    }


def run_with_one_thread(script, *arguments):
    """Runs a script in a process of its own."""
    subprocess.run(
        [sys.executable, script, *arguments],
        env={**os.environ, **_ONE_THREAD},
        check=True,
    )


def train_all(names, seeds, jobs, train):
    """Trains cells side by side.

    Args:
        names: Names of methods. One from scratch comes after the one whose
            structure it takes.
        seeds: Seeds to train each with.
        jobs: Most cells at the same time.
        train: Function of a name and a seed that trains one cell.
    """
    chains = [
        [each for each in (name, name + FROM_SCRATCH) if each in names]
        for name in names
        if not name.endswith(FROM_SCRATCH)
        or name.removesuffix(FROM_SCRATCH) not in names
    ]

    def train_chain(seed, chain):
        for method in chain:
            train(method, seed)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = [
            pool.submit(train_chain, seed, chain)
            for seed in seeds
            for chain in chains
        ]
        for run in runs:
            run.result()

"""Benchmarks of cells: trainings that each write a small JSON file.

A cell is one method with one seed, trained in a process of its own with one
thread. One that has its file is not trained again, so that a table grows over
days.
"""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import platform
import subprocess
import sys
import threading
from collections.abc import Callable

import keras
import memory
import tensorflow as tf
from absl import app
from absl import flags
from absl import logging

FLAGS = flags.FLAGS
FROM_SCRATCH = "_from_scratch"
_ONE_THREAD = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclasses.dataclass(frozen=True)
class CellBenchmark:
    """One benchmark, run from the command line.

    Attributes:
        script: Path of the script that runs it.
        results: Folder of its results; each preset has its own folder there.
        presets: Names of the sizes that it comes in.
        methods: Dict of functions of a task and a seed that return a cell, a
            dict.
        grown: Names of methods whose final structure is trained from scratch
            as well.
        from_scratch: Function of a task, a seed and a cell that does so.
        make_task: Function of a preset's name.
        time_cell: Function of a task and a cell that times its networks and
            returns a dict.
        report: Function of the preset's folder and the names of all methods
            that writes the report and returns its table; with the name of a
            method it only returns the table of differences from that one.
        prepared: Names of methods that need `prepare` of the task to have
            been called once, before any cell of theirs is trained.
        line: Format of the line that says what a cell reached.
        passed_on: Flags, besides `--preset`, that `make_task` looks at.
    """

    script: str
    results: pathlib.Path
    presets: list
    methods: dict
    grown: tuple
    from_scratch: Callable
    make_task: Callable
    time_cell: Callable
    report: Callable
    line: str
    prepared: tuple = ()
    passed_on: tuple = ()

    @property
    def names(self):
        """Names of all methods, in the order of the table."""
        return [*self.methods, *(name + FROM_SCRATCH for name in self.grown)]

    @property
    def folder(self):
        return self.results / FLAGS.preset

    def run(self):
        """Runs what the flags ask for."""
        flags.DEFINE_enum("preset", "small", self.presets, "Sizes.")
        flags.DEFINE_list("methods", self.names, "Methods to train.")
        flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of each method.")
        flags.DEFINE_integer(
            "jobs", 1, "Cells to train at the same time.", lower_bound=1
        )
        flags.DEFINE_bool("time", False, "Time cells' networks, do not train.")
        flags.DEFINE_bool("report", False, "Write the report, do not train.")
        flags.DEFINE_enum(
            "against", None, self.names, "Report differences from this method."
        )
        flags.DEFINE_bool("here", False, "In this process, not in a new one.")
        app.run(self._main)

    def _main(self, argv):
        del argv
        logging.set_verbosity(logging.ERROR)
        unknown = set(FLAGS.methods) - set(self.names)
        if unknown:
            raise app.UsageError(
                f"Unknown methods {sorted(unknown)}: {self.names}"
            )
        if not all(seed.isdecimal() for seed in FLAGS.seeds):
            raise app.UsageError(f"Seeds must be integers: {FLAGS.seeds}")
        seeds = [int(seed) for seed in FLAGS.seeds]
        if FLAGS.report and not any(self.folder.glob("*-*.json")):
            raise app.UsageError(f"No cells in {self.folder}: train some.")
        if FLAGS.report:
            print(self.report(self.folder, self.names, FLAGS.against))
        elif FLAGS.time and not FLAGS.here:
            _run_with_one_thread(self.script, "--here", *sys.argv[1:])
        elif FLAGS.time:
            self._time(FLAGS.methods, seeds)
        elif FLAGS.here and not FLAGS.methods:
            self.make_task(FLAGS.preset).prepare()
        elif FLAGS.here:
            for method in FLAGS.methods:
                for seed in seeds:
                    self._train(method, seed)
        else:
            if not all(
                self._path(method, seed).exists()
                for method in set(self.prepared) & set(FLAGS.methods)
                for seed in seeds
            ):
                self._run_here()
            train_all(
                FLAGS.methods, seeds, FLAGS.jobs, self._train_in_new_process
            )

    def _path(self, method, seed):
        return self.folder / f"{method}-{seed}.json"

    def _train_in_new_process(self, method, seed):
        if self._path(method, seed).exists():
            return
        source = self._path(method.removesuffix(FROM_SCRATCH), seed)
        if method.endswith(FROM_SCRATCH) and not source.exists():
            raise app.UsageError(
                f"{method} takes its structure from {source}, which is not "
                "there yet. Train that one first."
            )
        self._run_here(method, seed)

    def _run_here(self, method="", seed=0):
        """Trains one cell, or prepares the task, in a process of its own."""
        _run_with_one_thread(
            self.script,
            "--here",
            f"--methods={method}",
            f"--seeds={seed}",
            f"--preset={FLAGS.preset}",
            *(f"--{each}={FLAGS[each].value}" for each in self.passed_on),
        )

    def _train(self, method, seed):
        task = self.make_task(FLAGS.preset)
        memory.forget_peak()  # that of loading the data
        keras.utils.set_random_seed(seed)
        if method.endswith(FROM_SCRATCH):
            source = self._path(method.removesuffix(FROM_SCRATCH), seed)
            cell = json.loads(source.read_text())
            result = self.from_scratch(task, seed, cell)
        else:
            result = self.methods[method](task, seed)
        cell = {
            "method": method,
            "seed": seed,
            **result,
            "peak_mib": memory.peak_mib(),
            "versions": {
                "keras": keras.__version__,
                "tensorflow": tf.__version__,
                "machine": platform.machine(),
            },
        }
        write(self._path(method, seed), cell)
        print(self.line.format_map(cell), flush=True)

    def _time(self, methods, seeds):
        """Writes a file `timing/<method>-<seed>.json` for each cell."""
        task = self.make_task(FLAGS.preset)
        for seed in seeds:
            for method in methods:
                source = self._path(method, seed)
                path = self.folder / "timing" / source.name
                if source.exists() and not path.exists():
                    times = self.time_cell(task, json.loads(source.read_text()))
                    write(path, {"method": method, "seed": seed, **times})
                    shown = "  ".join(f"{k} {v:.3f}" for k, v in times.items())
                    print(f"{method:<28} seed {seed}  {shown}", flush=True)


def write(path, content):
    """Writes a JSON file as a whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content) + "\n")
    part.rename(path)


def _run_with_one_thread(script, *arguments):
    subprocess.run(
        [sys.executable, script, *arguments],
        env={**os.environ, **_ONE_THREAD},
        check=True,
    )


def train_all(names, seeds, jobs, train):
    """Trains cells side by side; none is begun after one has failed.

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

    stopped = threading.Event()

    def train_chain(seed, chain):
        for method in chain:
            if not stopped.is_set():
                train(method, seed)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = [
            pool.submit(train_chain, seed, chain)
            for seed in seeds
            for chain in chains
        ]
        try:
            for run in concurrent.futures.as_completed(runs):
                run.result()
        except BaseException:  # Ctrl-C too: all that is queued waits for it
            stopped.set()
            raise

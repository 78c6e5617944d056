r"""Ways to half the FLOPs, or half the time, on CIFAR-10, side by side.

    python benchmarks/cifar10.py --preset=small --seeds=0,1,2 --jobs=2
    python benchmarks/cifar10.py --preset=small --time
    python benchmarks/cifar10.py --preset=small --report

Each cell (method, seed) is one training, in a process of its own with one
thread, that writes a small JSON file under `benchmarks/results/`; cells that
are there already are not trained again, so the table grows over days.

`--time` times the networks of the cells, in turn with the full network, while
nothing else should run. `--report` writes table and plots from all files.
"""

import json
import sys

import cells
import keras
import memory
import methods
import report
import timing
from absl import app
from absl import flags
from absl import logging
from task import PRESETS
from task import RESULTS
from task import Task

FLAGS = flags.FLAGS
NAMES = [
    *methods.METHODS,
    *(name + cells.FROM_SCRATCH for name in methods.GROWN),
]

flags.DEFINE_enum("preset", "small", list(PRESETS), "Sizes of the task.")
flags.DEFINE_list("methods", NAMES, "Methods to train.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds to train each with.")
flags.DEFINE_integer("jobs", 1, "Cells to train at the same time.")
flags.DEFINE_bool("time", False, "Time the cells' networks, train nothing.")
flags.DEFINE_bool("report", False, "Write table and plots, train nothing.")
flags.DEFINE_bool("here", False, "Train in this process, not in a new one.")


def folder():
    return RESULTS / FLAGS.preset


def cell_path(method, seed):
    return folder() / f"{method}-{seed}.json"


def train_cell(method, seed):
    """Trains one cell in this process, and writes it."""
    task = Task(FLAGS.preset)
    memory.forget_peak()  # that of loading the data
    keras.utils.set_random_seed(seed)
    if method.endswith(cells.FROM_SCRATCH):
        source = cell_path(method.removesuffix(cells.FROM_SCRATCH), seed)
        cell = json.loads(source.read_text())
        result = methods.from_scratch(task, seed, cell)
    else:
        result = methods.METHODS[method](task, seed)
    cell = {
        "method": method,
        "seed": seed,
        **result,
        "peak_mib": memory.peak_mib(),
        "versions": cells.versions(),
    }
    cells.write(cell_path(method, seed), cell)
    print(
        f"{method:<28} seed {seed}  accuracy {cell['accuracy']:.2f}  "
        f"FLOPs {cell['flops']:.3f}  training {cell['training_flops']:.3f}  "
        f"{cell['seconds']:.0f} s",
        flush=True,
    )


def train_in_new_process(method, seed):
    if cell_path(method, seed).exists():
        return
    cells.run_with_one_thread(
        __file__,
        "--here",
        f"--preset={FLAGS.preset}",
        f"--methods={method}",
        f"--seeds={seed}",
    )


def main(argv):
    del argv
    logging.set_verbosity(logging.ERROR)
    unknown = set(FLAGS.methods) - set(NAMES)
    if unknown:
        raise app.UsageError(f"Unknown methods {sorted(unknown)}: {NAMES}")
    seeds = [int(seed) for seed in FLAGS.seeds]
    if FLAGS.report:
        document = RESULTS.parents[1] / "RESULTS.md"
        print(report.write(folder(), NAMES, document))
    elif FLAGS.time and not FLAGS.here:
        cells.run_with_one_thread(__file__, "--here", *sys.argv[1:])
    elif FLAGS.time:
        timing.time_cells(FLAGS.preset, folder(), FLAGS.methods, seeds)
    elif FLAGS.here:
        for method in FLAGS.methods:
            for seed in seeds:
                train_cell(method, seed)
    else:
        cells.train_all(FLAGS.methods, seeds, FLAGS.jobs, train_in_new_process)


if __name__ == "__main__":
    app.run(main)

r"""Ways to half the FLOPs on CIFAR-10, side by side.

    python benchmarks/cifar10.py --preset=small --seeds=0,1,2
    python benchmarks/cifar10.py --report

Each cell (method, seed) is one training that writes a small JSON file under
`benchmarks/results/`; cells that are there already are not trained again, so
the table grows over days. `--report` prints the table of all cells.
"""

import json
import pathlib
import platform

import keras
import report
import tensorflow as tf
from absl import app
from absl import flags
from absl import logging
from methods import GROWN
from methods import METHODS
from methods import from_scratch
from task import PRESETS
from task import Task

FLAGS = flags.FLAGS
RESULTS = pathlib.Path(__file__).parent / "results" / "cifar10"
NAMES = [*METHODS, *(f"{name}_from_scratch" for name in GROWN)]

flags.DEFINE_enum("preset", "small", list(PRESETS), "Sizes of the task.")
flags.DEFINE_enum(
    "split", "test", ["test", "validation"], "What accuracy is measured on."
)
flags.DEFINE_list("methods", NAMES, "Methods to train.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds to train each with.")
flags.DEFINE_bool("report", False, "Print the table, train nothing.")


def cell_path(method, seed):
    return RESULTS / FLAGS.preset / FLAGS.split / f"{method}-{seed}.json"


def run_cell(task, method, seed):
    """Trains one cell; returns its result."""
    keras.utils.set_random_seed(seed)
    if method in METHODS:
        result = METHODS[method](task, seed)
    else:
        source = cell_path(method.removesuffix("_from_scratch"), seed)
        result = from_scratch(task, seed, json.loads(source.read_text()))
    return {
        "method": method,
        "seed": seed,
        **result,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "machine": platform.machine(),
    }


def main(argv):
    del argv
    logging.set_verbosity(logging.ERROR)
    unknown = set(FLAGS.methods) - set(NAMES)
    if unknown:
        raise app.UsageError(f"Unknown methods {sorted(unknown)}: {NAMES}")
    if FLAGS.report:
        print(report.table(RESULTS / FLAGS.preset / FLAGS.split, NAMES))
        return
    task = None
    for seed in map(int, FLAGS.seeds):
        for method in FLAGS.methods:
            path = cell_path(method, seed)
            if path.exists():
                continue
            task = task or Task(FLAGS.preset, FLAGS.split)
            result = run_cell(task, method, seed)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")  # never a half-written cell
            part.write_text(json.dumps(result) + "\n")
            part.rename(path)
            print(
                f"{method:<28} seed {seed}  accuracy {result['accuracy']:.2f}  "
                f"FLOPs {result['flops']:.3f}  training "
                f"{result['training_flops']:.3f}  {result['seconds']:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)

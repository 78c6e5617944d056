r"""Ways to a third of the parameters of a language model, side by side.

    python benchmarks/language_model.py --data=~/brown --seeds=0,1,2 --jobs=2
    python benchmarks/language_model.py --time
    python benchmarks/language_model.py --report

The folder has three text files in Penn Treebank's layout. As in `cifar10.py`,
each cell (method, seed) is one training in a process of its own with one
thread that writes a small JSON file, and is not trained again once that is
there.
`--time` times the networks of the cells in turn with the full one, while
nothing else should run; `--report` writes the table.
"""

import json
import sys

import cells
import keras
import language_methods as methods
import memory
import report
from absl import app
from absl import flags
from absl import logging
from language_task import PRESETS
from language_task import RESULTS
from language_task import LanguageTask
from language_timing import time_cell

FLAGS = flags.FLAGS
NAMES = [
    *methods.METHODS,
    *(name + cells.FROM_SCRATCH for name in methods.GROWN),
]
_COLUMNS = {
    "validation": "validation_perplexity",
    "parameters": "params",
    "FLOPs a word": "flops",
    "training FLOPs": "training_flops",
    "training time": "training",
    "words a second": "rate",
    "peak MiB": "peak_mib",
}

flags.DEFINE_string("data", "~/brown", "Folder with the text.")
flags.DEFINE_enum("preset", "small", list(PRESETS), "Sizes of the task.")
flags.DEFINE_list("methods", NAMES, "Methods to train.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds to train each with.")
flags.DEFINE_integer("jobs", 1, "Cells to train at the same time.")
flags.DEFINE_bool("time", False, "Time the cells' networks, train nothing.")
flags.DEFINE_bool("report", False, "Write the table, train nothing.")
flags.DEFINE_bool("here", False, "Train in this process, not in a new one.")


def folder():
    return RESULTS / FLAGS.preset


def cell_path(method, seed):
    return folder() / f"{method}-{seed}.json"


def train_cell(method, seed):
    """Trains one cell in this process, and writes it."""
    task = LanguageTask(FLAGS.preset, FLAGS.data)
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
        f"{method:<24} seed {seed}  perplexity {cell['perplexity']:.1f}  "
        f"parameters {cell['params']:.3f}  FLOPs {cell['flops']:.3f}  "
        f"training {cell['training_flops']:.3f}  {cell['seconds']:.0f} s",
        flush=True,
    )


def train_in_new_process(method, seed):
    if not cell_path(method, seed).exists():
        cells.run_with_one_thread(
            __file__,
            "--here",
            f"--data={FLAGS.data}",
            f"--preset={FLAGS.preset}",
            f"--methods={method}",
            f"--seeds={seed}",
        )


def time_cells(seeds):
    """Writes a file `timing/<method>-<seed>.json` for each cell."""
    task = LanguageTask(FLAGS.preset, FLAGS.data)
    for seed in seeds:
        for method in FLAGS.methods:
            source = cell_path(method, seed)
            path = folder() / "timing" / source.name
            if source.exists() and not path.exists():
                result = time_cell(task, json.loads(source.read_text()))
                cells.write(path, {"method": method, "seed": seed, **result})
                print(f"{method:<24} seed {seed}  {result}", flush=True)


def main(argv):
    del argv
    logging.set_verbosity(logging.ERROR)
    unknown = set(FLAGS.methods) - set(NAMES)
    if unknown:
        raise app.UsageError(f"Unknown methods {sorted(unknown)}: {NAMES}")
    seeds = [int(seed) for seed in FLAGS.seeds]
    if FLAGS.report:
        text = report.table(
            folder(), NAMES, score="perplexity", columns=_COLUMNS
        )
        document = RESULTS.parents[1] / "RESULTS.md"
        report.insert_table(document, f"language model, {FLAGS.preset}", text)
        print(text)
    elif FLAGS.time and not FLAGS.here:
        cells.run_with_one_thread(__file__, "--here", *sys.argv[1:])
    elif FLAGS.time:
        time_cells(seeds)
    elif FLAGS.here:
        for method in FLAGS.methods:
            for seed in seeds:
                train_cell(method, seed)
    else:
        cells.train_all(FLAGS.methods, seeds, FLAGS.jobs, train_in_new_process)


if __name__ == "__main__":
    app.run(main)

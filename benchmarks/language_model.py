r"""Ways to a third of the parameters of a language model, side by side.

    python benchmarks/language_model.py --data=~/brown --seeds=0,1,2 --jobs=2
    python benchmarks/language_model.py --time
    python benchmarks/language_model.py --report

The folder has three text files in Penn Treebank's layout. As in `cifar10.py`,
each cell (method, seed) is one training that writes a small file, and is not
trained again once that is there. `--time` times the networks of the cells in
turn with the full one, while nothing else should run; `--report` writes the
table.
"""

import cells
import language_methods as methods
import report
from absl import flags
from language_task import PRESETS
from language_task import RESULTS
from language_task import LanguageTask
from language_timing import time_cell

_COLUMNS = {
    "validation": "validation_perplexity",
    "parameters": "params",
    "FLOPs a word": "flops",
    "training FLOPs": "training_flops",
    "training time": "training",
    "words a second": "rate",
    "200 units": "rate_x2",
    "400 units": "rate_x4",
    "LiteRT": "litert",
    "LiteRT, 200 units": "litert_x2",
    "LiteRT, 400 units": "litert_x4",
    "peak MiB": "peak_mib",
}

flags.DEFINE_string("data", "~/brown", "Folder with the text.")


def make_task(preset):
    return LanguageTask(preset, flags.FLAGS.data)


def write_report(folder, names, against=None):
    text = report.table(
        folder, names, against or "narrow", "perplexity", _COLUMNS
    )
    if against:
        return text
    document = RESULTS.parents[1] / "RESULTS.md"
    report.insert_table(document, f"language model, {folder.name}", text)
    return text


if __name__ == "__main__":
    cells.CellBenchmark(
        script=__file__,
        results=RESULTS,
        presets=list(PRESETS),
        methods=methods.METHODS,
        grown=methods.GROWN,
        from_scratch=methods.from_scratch,
        make_task=make_task,
        time_cell=time_cell,
        report=write_report,
        line="{method:<28} seed {seed}  perplexity {perplexity:.1f}  "
        "parameters {params:.3f}  FLOPs {flops:.3f}  training "
        "{training_flops:.3f}  {seconds:.0f} s",
        passed_on=("data",),
    ).run()

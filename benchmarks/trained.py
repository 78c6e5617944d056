r"""Ways to half the FLOPs of a network that has been trained, side by side.

    python benchmarks/trained.py --preset=digits --methods=given --seeds=0,1,2
    python benchmarks/trained.py --preset=digits --seeds=0,1,2 --jobs=2
    python benchmarks/trained.py --preset=digits --report

The first command trains the networks that are given to all methods. Cells as
in `benchmarks/cifar10.py`; the given networks stay under
`benchmarks/results/trained/<preset>/networks`.
"""

import cells
import report
import trained_methods
from absl import app
from trained_task import RESULTS
from trained_task import TRAINED_PRESETS
from trained_task import TrainedTask


def _no_timing(task, cell):
    raise app.UsageError("Networks of this benchmark are not timed.")


def _table(folder, names, against=None):
    return report.table(folder, names, against or "given")


if __name__ == "__main__":
    cells.CellBenchmark(
        script=__file__,
        results=RESULTS,
        presets=list(TRAINED_PRESETS),
        methods=trained_methods.METHODS,
        grown=(),
        from_scratch=None,
        make_task=TrainedTask,
        time_cell=_no_timing,
        report=_table,
        line="{method:<28} seed {seed}  accuracy {accuracy:.2f}  FLOPs "
        "{flops:.3f}  {seconds:.0f} s",
    ).run()

r"""Ways to half the FLOPs, or half the time, on CIFAR-10, side by side.

    python benchmarks/cifar10.py --preset=small --seeds=0,1,2 --jobs=2
    python benchmarks/cifar10.py --preset=small --time
    python benchmarks/cifar10.py --preset=small --report

Each cell (method, seed) is one training, see `cells.py`, that writes a small
file under `benchmarks/results/`; cells that are there already are not trained
again. `--time` times the networks of the cells, in turn with the full network,
while nothing else should run. `--report` writes table and plots from all files.
"""

import cells
import methods
import report
import timing
from task import PRESETS
from task import RESULTS
from task import Task


def write_report(folder, names, against=None):
    if against:
        return report.table(folder, names, against)
    return report.write(folder, names, RESULTS.parents[1] / "RESULTS.md")


if __name__ == "__main__":
    cells.CellBenchmark(
        script=__file__,
        results=RESULTS,
        presets=list(PRESETS),
        methods=methods.METHODS,
        grown=methods.GROWN,
        from_scratch=methods.from_scratch,
        make_task=Task,
        time_cell=timing.time_cell,
        report=write_report,
        prepared=methods.IN_TIME,
        line="{method:<28} seed {seed}  accuracy {accuracy:.2f}  FLOPs "
        "{flops:.3f}  training {training_flops:.3f}  {seconds:.0f} s",
    ).run()

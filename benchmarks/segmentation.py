r"""Ways to half the FLOPs of a network for segmentation, side by side.

    python benchmarks/segmentation.py --data=~/cutouts --seeds=0,1,2 --jobs=2
    python benchmarks/segmentation.py --data=~/cutouts --time
    python benchmarks/segmentation.py --report

The folder has the layout of PASCAL VOC 2012. As in `cifar10.py`, each cell
(method, seed) is one training that writes a small file, and is not trained
again once that is there. `--time` times the networks of the cells in turn with
the full one, while nothing else should run; `--report` writes the table.
"""

import cells
import methods
import report
import timing
from absl import flags
from segmentation_task import PRESETS
from segmentation_task import RESULTS
from segmentation_task import SegmentationTask

METHODS = {
    name: methods.METHODS[name]
    for name in (
        "full",
        "narrow",
        "l1_pruning",
        "slimming",
        "paper",
        "grown",
        "grown_in_eights",
        "grown_in_less_time",
    )
}
_COLUMNS = {**report.COLUMNS, "validation": "validation_miou"}
del _COLUMNS["peak MiB"]

flags.DEFINE_string("data", "~/cutouts", "Folder with the images.")


def make_task(preset):
    return SegmentationTask(preset, flags.FLAGS.data)


def write_report(folder, names, against=None):
    text = report.table(folder, names, against or "narrow", "miou", _COLUMNS)
    if not against:
        document = RESULTS.parents[1] / "RESULTS.md"
        report.insert_table(document, f"segmentation, {folder.name}", text)
    return text


if __name__ == "__main__":
    cells.CellBenchmark(
        script=__file__,
        results=RESULTS,
        presets=list(PRESETS),
        methods=METHODS,
        grown=methods.GROWN,
        from_scratch=methods.from_scratch,
        make_task=make_task,
        time_cell=timing.time_cell,
        prepared=methods.IN_TIME,
        report=write_report,
        line="{method:<28} seed {seed}  mean IoU {miou:.2f}  FLOPs "
        "{flops:.3f}  training {training_flops:.3f}  {seconds:.0f} s",
        passed_on=("data",),
    ).run()

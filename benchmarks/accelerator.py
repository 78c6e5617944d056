r"""The paper's CIFAR-10 networks at full scale, on an accelerator.

    python benchmarks/accelerator.py --data=DIR --jobs=16
    python benchmarks/accelerator.py --networks=vgg16 --seeds=0 --epochs=30
    python benchmarks/accelerator.py --report

All 50,000 images of 32 x 32. `keras_growprune.growth` and the cost model
decide, PyTorch trains: TensorFlow is not needed. DIR has
`cifar-10-batches-py`, or `torchvision` downloads it there, or it is a `.npz`
file with `x_train`, `y_train`, `x_test` and `y_test`.

Each network that is trained adds a line to `results/accelerator.jsonl`; those
that have theirs are not trained again. Small networks do not fill a large GPU:
`--jobs` processes train side by side. Start NVIDIA's multi-process service
(`nvidia-cuda-mps-control -d`) first, else they take turns.
"""

import argparse
import json
import pathlib
import queue
import sys
import time
import traceback

from pytorch_witness.experiments import EXPERIMENTS
from pytorch_witness.experiments import METHODS
from pytorch_witness.experiments import jobs_of
from pytorch_witness.report import write_report

RESULTS = pathlib.Path(__file__).parent / "results" / "accelerator.jsonl"


def main():
    arguments = _parser().parse_args()
    rows = read(arguments.results)
    if arguments.report:
        page = pathlib.Path(__file__).parent / "RESULTS.md"
        print(write_report(rows, page))
        return
    jobs = [
        job
        for name in arguments.networks
        for job in jobs_of(
            name, arguments.methods, arguments.seeds, arguments.epochs, rows
        )
    ]
    print(f"{len(jobs)} jobs", flush=True)
    if jobs:
        train_all(jobs, arguments, time.time() + 60 * arguments.minutes)


def _parser():
    def names(text):
        return text.split(",")

    def numbers(text):
        return [int(each) for each in text.split(",")]

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--data", default="~/cifar10", help="where the images are")
    add("--networks", type=names, default=list(EXPERIMENTS))
    add("--methods", type=names, default=list(METHODS))
    add("--seeds", type=numbers, default=[0, 1, 2])
    add("--epochs", type=int, help="instead of the experiment's own")
    add("--images", type=int, help="fewer training images, to try it out")
    add("--jobs", type=int, default=1, help="processes")
    add("--side_by_side", type=int, default=1, help="runs of one process")
    add("--minutes", type=float, default=1e9, help="no job begins later")
    add("--results", type=pathlib.Path, default=RESULTS)
    add("--report", action="store_true", help="write the table, do not train")
    return parser


def read(path):
    """Rows of a file of JSON lines, none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def train_all(jobs, arguments, end):
    """Trains jobs in several processes and writes down what they reach."""
    import torch.multiprocessing  # not needed for the report

    context = torch.multiprocessing.get_context("spawn")
    waiting, found = context.Queue(), context.Queue()
    count = min(arguments.jobs, len(jobs))
    for job in [*jobs, *[None] * count]:
        waiting.put(job)
    workers = [
        context.Process(
            target=_work,
            args=(
                waiting,
                found,
                (arguments.data, arguments.images),
                arguments.side_by_side,
                end,
            ),
        )
        for _ in range(count)
    ]
    for worker in workers:
        worker.start()
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    failed = 0
    while count:
        try:
            row = found.get(timeout=60)
        except queue.Empty:
            if any(worker.is_alive() for worker in workers):
                continue
            sys.exit("All processes ended before their work was done.")
        if row is None:
            count -= 1
        elif "error" in row:
            failed += 1
            print(row["error"], file=sys.stderr, flush=True)
        else:
            with arguments.results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(_line(row), flush=True)
    for worker in workers:
        worker.join()
    if failed:
        sys.exit(f"{failed} jobs failed")


def _line(row):
    return (
        "{network:<9} {method:<20} {measure} {budget!s:<5} seed {seed}  "
        "{accuracy:.2f} %  FLOPs {flops:.3f}  parameters {params:.3f}  "
        "training {training_flops:.3f}  {seconds:.0f} s"
    ).format_map(row)


def _work(waiting, found, source, side_by_side, end):
    try:
        from pytorch_witness.worker import work

        work(waiting, found, source, side_by_side, end)
    except BaseException:
        found.put({"error": traceback.format_exc()})
    finally:
        found.put(None)


if __name__ == "__main__":
    main()

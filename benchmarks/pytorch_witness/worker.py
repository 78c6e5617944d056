"""A process that trains jobs, maybe several side by side."""

import contextlib
import time
import traceback

import torch

from pytorch_witness import data
from pytorch_witness.methods import METHODS


def work(waiting, found, source, side_by_side, end):
    """Trains jobs until there are no more.

    Args:
        waiting: Queue of `Job`s, with a None for each worker at its end.
        found: Queue that rows are put into.
        source: Arguments of `data.load`.
        side_by_side: Jobs at the same time, each on a stream of its own.
        end: Moment (`time.time`) after which no job is begun.
    """
    is_gpu = torch.cuda.is_available()
    torch.set_num_threads(1)
    images = data.Images(
        data.load(*source),
        "cuda" if is_gpu else "cpu",
        torch.bfloat16 if is_gpu else torch.float32,
    )
    if is_gpu:
        torch.cuda.synchronize()
    running, is_over = [], False
    while running or not is_over:
        while len(running) < side_by_side and not is_over:
            job = _next_job(waiting, end)
            is_over = job is None
            if not is_over:
                running.append(_Running(job, images, is_gpu))
        for each in list(running):
            if not each.advance(found):
                running.remove(each)


def _next_job(waiting, end):
    job = waiting.get()
    return None if time.time() > end else job


class _Running:
    """One job that is being trained."""

    def __init__(self, job, images, is_gpu):
        self._job, self._started = job, time.time()
        if is_gpu:  # what the last job left, others may need
            torch.cuda.empty_cache()
        self._stream = torch.cuda.Stream() if is_gpu else None
        self._rows = METHODS[job.method](job, images)

    def advance(self, found):
        """Trains a few steps; whether there are more."""
        stream = contextlib.nullcontext()
        if self._stream is not None:
            stream = torch.cuda.stream(self._stream)
        try:
            with stream:
                row = next(self._rows)
        except StopIteration:
            return False
        except Exception:
            trace = traceback.format_exc()
            found.put({"error": f"{self._job}\n{trace}"})
            return False
        if row is not None:
            found.put({**row, **self._where()})
        return True

    def _where(self):
        """Seconds since the job began, with what ran beside it, and where."""
        name = "cpu"
        if self._stream is not None:
            name = torch.cuda.get_device_name()
        return {
            "seconds": round(time.time() - self._started, 1),
            "versions": {"torch": torch.__version__, "device": name},
        }

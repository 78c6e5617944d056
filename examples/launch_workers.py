r"""Runs a program as several workers on this machine, and again if one dies.

    python examples/launch_workers.py --workers=2 -- \
        examples/image_classification.py --strategy=multi_worker
    python examples/launch_workers.py --workers=3 --restarts=2 -- \
        examples/image_classification.py --strategy=multi_worker \
        --backup=backups/run_1

Each worker finds in TF_CONFIG where the others are and which one it is. Its
output follows its number. When a worker fails, so do the others: they wait for
what it would have told them. With `--restarts` all are started again, and a
program that makes backups goes on from there. On several machines this is what
the cluster's own scheduler does.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

from absl import app
from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_integer("workers", 2, "Workers to start.", lower_bound=1)
flags.DEFINE_integer(
    "restarts", 0, "How often all are started again.", lower_bound=0
)
flags.DEFINE_integer(
    "gpus", 0, "GPUs for each worker. Default: CPU only.", lower_bound=0
)
flags.DEFINE_float(
    "patience",
    20,
    "Seconds that the others have to end by themselves when one has failed.",
    lower_bound=0,
)

# Seconds that a worker has to end when it is asked to.
_POLITENESS = 5


class Worker:
    """One process, and the threads that pass its output on.

    Args:
        number: Its number.
        command: List of strings.
        environment: Dict, its environment variables.
    """

    def __init__(self, number, command, environment):
        self.number = number
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self._threads = [
            threading.Thread(target=self._pass_on, args=pipes, daemon=True)
            for pipes in (
                (self._process.stdout, sys.stdout),
                (self._process.stderr, sys.stderr),
            )
        ]
        for thread in self._threads:
            thread.start()

    def _pass_on(self, lines, target):
        for line in lines:
            ending = "" if line.endswith("\n") else "\n"
            target.write(f"[{self.number}] {line}{ending}")
            target.flush()

    def exit_code(self):
        """As a shell has it, or None while it runs."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def ask_to_end(self):
        self._process.terminate()

    def end(self):
        """Ends it now, and passes on what it has said."""
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            # A process that it left behind may hold the pipe open.
            thread.join(timeout=1)


def free_ports(count):
    """Ports of this machine that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.socket(socket.AF_INET))
            for _ in range(count)
        ]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def visible_gpus():
    """Names of the GPUs that all workers together may use."""
    count = FLAGS.workers * FLAGS.gpus
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = given.split(",") if given else list(map(str, range(count)))
    if len(gpus) < count:
        raise app.UsageError(
            f"{count} GPUs are needed for {FLAGS.workers} workers. Received: "
            f"CUDA_VISIBLE_DEVICES={given}"
        )
    return gpus


def environment_of(number, ports):
    """Environment variables of a worker."""
    config = {
        "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
        "task": {"type": "worker", "index": number},
    }
    gpus = visible_gpus()[number * FLAGS.gpus :][: FLAGS.gpus]
    return {
        **os.environ,
        "TF_CONFIG": json.dumps(config),
        # Two workers cannot share a GPU, and -1 stands for none.
        "CUDA_VISIBLE_DEVICES": ",".join(gpus) or "-1",
        "PYTHONUNBUFFERED": "1",
    }


def wait(workers, seconds=None, until_failure=False):
    """Waits until all have ended, or so long, or until one has failed.

    Returns:
        The first worker that failed, or None.
    """
    started = time.monotonic()
    while True:
        codes = [worker.exit_code() for worker in workers]
        failed = [worker for worker, code in zip(workers, codes) if code]
        if until_failure and failed:
            return failed[0]
        if None not in codes:
            return None
        if seconds is not None and time.monotonic() - started > seconds:
            return None
        time.sleep(0.05)


def run(command):
    """Runs all workers once.

    Returns:
        `(number, exit code)` of the first that failed, or None.
    """
    ports, workers = free_ports(FLAGS.workers), []
    try:
        for number in range(FLAGS.workers):
            environment = environment_of(number, ports)
            workers.append(Worker(number, command, environment))
        failed = wait(workers, until_failure=True)
        if failed is None:
            return None
        say(f"worker {failed.number} ended with exit code {failed.exit_code()}")
        wait(workers, FLAGS.patience)
        return failed.number, failed.exit_code()
    finally:
        try:
            for worker in workers:
                worker.ask_to_end()
            wait(workers, _POLITENESS)
        finally:
            for worker in workers:
                worker.end()


def say(text):
    print(f"[launcher] {text}", flush=True)


def main(argv):
    command = argv[1:]
    if not command or not pathlib.Path(command[0]).is_file():
        raise app.UsageError(
            "Give the Python file to run after two dashes, such as\n"
            "    launch_workers.py --workers=2 -- program.py --its=flags\n"
            f"Received: {' '.join(command) or 'nothing'}"
        )
    # What ends this process ends its workers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    for restarts_left in reversed(range(FLAGS.restarts + 1)):
        try:
            failed = run([sys.executable, *command])
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
        if failed is None:
            return
        if restarts_left:
            say(f"starting all again; restarts left: {restarts_left - 1}")
    sys.exit(failed[1])


if __name__ == "__main__":
    app.run(main)

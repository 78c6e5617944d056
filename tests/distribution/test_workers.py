"""Several processes train one network.

Each on this machine, over the loopback device. They take their time to start:
all of this is behind the marker.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_growprune as kgp

ROOT = pathlib.Path(__file__).parents[2]
WORKER = pathlib.Path(__file__).parent / "worker.py"

pytestmark = pytest.mark.slow


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Worker:
    """What became of a worker: exit code, output, and its result."""

    def __init__(self, process):
        self.output, _ = process.communicate(timeout=280)
        self.code = process.returncode
        lines = self.output.splitlines()
        found = [x[7:] for x in lines if x.startswith("RESULT ")]
        self.result = json.loads(found[0]) if found else None


def run(count, folder, **settings):
    """Starts workers and waits for them; `count` 0: one, without a strategy."""
    settings = {"folder": str(folder), "epochs": 4, **settings}
    addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
    processes = []
    for index in range(max(count, 1)):
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        environment.pop("TF_CONFIG", None)
        if count:
            task = {"type": "worker", "index": index}
            cluster = {"worker": addresses}
            environment["TF_CONFIG"] = json.dumps(
                {"cluster": cluster, "task": task}
            )
        arguments = json.dumps({**settings, "index": index})
        processes.append(
            subprocess.Popen(
                [sys.executable, str(WORKER), arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        return [Worker(process) for process in processes]
    finally:
        for process in processes:
            process.kill()


def results(workers):
    for worker in workers:
        assert worker.code == 0, worker.output[-3000:]
    return [worker.result for worker in workers]


def without_path(result):
    return {key: value for key, value in result.items() if key != "saved"}


def structures(result):
    return [epoch["structure"] for epoch in result["epochs"]]


def changes(result):
    found = structures(result)
    return sum(one != other for one, other in zip(found, found[1:]))


@pytest.mark.parametrize("network", ["residual", "skips", "recurrent"])
def test_two_workers_decide_and_train_as_one_device(network, tmp_path):
    (one,) = results(run(0, tmp_path, network=network, epochs=10))
    two = results(run(2, tmp_path, network=network, epochs=10))
    assert changes(one) > 1
    assert without_path(two[0]) == without_path(two[1])
    assert structures(two[0]) == structures(one)
    losses = [[each["loss"] for each in r["epochs"]] for r in (one, two[0])]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-9)
    assert two[0]["evaluated"] == pytest.approx(one["evaluated"], rel=1e-9)
    assert two[0]["difference"] < 1e-12


def test_three_workers_are_bitwise_equal_after_changes_in_each_epoch(tmp_path):
    workers = run(3, tmp_path, epochs=10, restructure=True, backup=None)
    first, *others = results(workers)
    assert changes(first) == 9
    assert len(first["epochs"]) == 10
    for other in others:
        assert without_path(other) == without_path(first)
    models = [keras.models.load_model(r["saved"]) for r in [first, *others]]
    assert all(isinstance(model, kgp.GrowPruneModel) for model in models)
    for model in models[1:]:
        for one, two in zip(models[0].variables, model.variables, strict=True):
            np.testing.assert_array_equal(one.numpy(), two.numpy())


def test_one_is_killed_and_all_are_started_again_as_if_nothing_had_been(
    tmp_path,
):
    whole, *_ = results(run(3, tmp_path, epochs=6))
    backup = str(tmp_path / "backup")
    broken = run(3, tmp_path, epochs=6, backup=backup, kill=[1, 2])
    assert broken[1].code == -9
    for worker in (broken[0], broken[2]):
        assert worker.code not in (0, None)
        assert "Another one of the 3 workers has ended" in worker.output
        assert "goes on after its last complete epoch" in worker.output
    again = results(run(3, tmp_path, epochs=6, backup=backup))
    for result in again:
        assert [each["epoch"] for each in result["epochs"]] == [3, 4, 5]
        assert result["epochs"] == whole["epochs"][3:]
        assert result["weights"] == whole["weights"]
    assert not os.path.exists(backup)


def test_seeds_and_weights_are_the_chiefs(tmp_path):
    first, second = results(run(2, tmp_path, same_seed=False))
    assert without_path(first) == without_path(second)


def test_workers_that_differ_are_told_and_end(tmp_path):
    for worker in run(2, tmp_path, epochs=6, alone=[1, 1]):
        assert worker.code == 1
        assert "The workers that train model" in worker.output
        assert "worker 1: structure, weights" in worker.output


def test_a_backup_that_a_worker_cannot_see_is_refused(tmp_path):
    shared = str(tmp_path / "shared")
    run(2, tmp_path, epochs=6, backup=shared, kill=[1, 2])
    folders = [shared, str(tmp_path / "another")]
    for worker in run(2, tmp_path, epochs=6, backup=folders):
        assert worker.code == 1
        assert "cannot be read by all workers" in worker.output
        assert "missing for worker 1" in worker.output

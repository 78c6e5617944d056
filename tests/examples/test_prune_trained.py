import os
import pathlib
import re
import subprocess
import sys

import keras

import keras_growprune as kgp

ROOT = pathlib.Path(__file__).parents[2]


def test_a_trained_network_is_halved(tmp_path):
    command = [
        sys.executable,
        str(ROOT / "examples" / "prune_trained.py"),
        f"--output={tmp_path}",
        "--width=0.5",
        "--epochs=2",
        "--pruning_epochs=2",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command, capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
    assert "May leave with their branch: add, add_1, add_2" in result.stdout
    rows = dict(
        (name, [int(n.replace(",", "")) for n in numbers])
        for name, *numbers in re.findall(
            r"^(trained|pruned) .*% +([\d,]+) +([\d,]+)", result.stdout, re.M
        )
    )
    assert rows["pruned"][0] <= 0.5 * rows["trained"][0]
    small = keras.models.load_model(tmp_path / "pruned.keras")
    assert [kgp.count_flops(small), small.count_params()] == rows["pruned"]

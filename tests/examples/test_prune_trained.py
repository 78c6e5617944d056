import os
import pathlib
import re
import subprocess
import sys

import keras

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
        re.findall(r"^(trained|pruned) .*% +([\d,]+)", result.stdout, re.M)
    )
    flops = {name: int(n.replace(",", "")) for name, n in rows.items()}
    assert flops["pruned"] <= 0.5 * flops["trained"]
    small = keras.models.load_model(tmp_path / "pruned.keras")
    assert small.count_params() > 0

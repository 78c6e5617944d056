import re

import keras
import pytest

import keras_growprune as kgp
from tests.examples.running import run_example


@pytest.mark.slow
def test_a_trained_network_is_halved(tmp_path):
    output = run_example(
        "prune_trained",
        f"--output={tmp_path}",
        "--width=0.5",
        "--epochs=2",
        "--pruning_epochs=2",
    )
    assert "May leave with their branch: add, add_1, add_2" in output
    rows = dict(
        (name, [int(n.replace(",", "")) for n in numbers])
        for name, *numbers in re.findall(
            r"^(trained|pruned) .*% +([\d,]+) +([\d,]+)", output, re.M
        )
    )
    assert rows["pruned"][0] <= 0.5 * rows["trained"][0]
    small = keras.models.load_model(tmp_path / "pruned.keras")
    assert [kgp.count_flops(small), small.count_params()] == rows["pruned"]

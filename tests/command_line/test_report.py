import re

import keras
import pytest

import keras_growprune as kgp
from keras_growprune.command_line.network_cost import layer_costs
from tests import plain_networks
from tests.command_line.small_files import convolutional
from tests.command_line.small_files import growing
from tests.command_line.small_files import row
from tests.command_line.small_files import run
from tests.command_line.small_files import saved


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_plain_model_in_numbers(ending, tmp_path, capsys):
    path = saved(convolutional(), tmp_path, f"plain{ending}")
    capsys.readouterr()
    assert run("report", path) == 0
    text = capsys.readouterr().out
    # 3 x 3 weights from 1 channel to 2 and 2 biases, at 16 positions.
    assert row(text, "conv")[-2:] == ["20", "288"]
    # 4 x 4 x 2 values to 3.
    assert row(text, "scores")[-2:] == ["99", "96"]
    assert row(text, "total") == ["total", "119", "384"]
    assert "Conv2D" in text and "(any, 4, 4, 2)" in text
    assert re.match(rf"{path}: model 'convolutional', \d+\.\d kB\n", text)


def test_growing_model_in_numbers(tmp_path, capsys):
    path = saved(growing(width=4), tmp_path, "growing.keras")
    assert run("report", path) == 0
    text = capsys.readouterr().out
    assert row(text, "hidden") == ["hidden", "▄", "4", "1", "8"]
    assert "flops: 32 of 64 (50.0%)" in text
    assert "params: 39 of 75 (52.0%)" in text
    assert "cannot change their width:\n  scores: feeds an output" in text


def test_files_of_other_runtimes(tmp_path, capsys):
    path = str(tmp_path / "exported")
    kgp.export.export_model(two_inputs(), path, verify=False, verbose=False)
    assert run("report", path) == 0
    text = capsys.readouterr().out
    assert re.match(rf"{path}: SavedModel, \d+\.\d kB\n", text)
    assert "left  │ (any, 4) │ float32" in text
    assert "right │ (any, 2) │ int32" in text
    assert "sum   │ (any, 3) │ float32" in text


def test_fixed_batch_size_is_told(tmp_path, capsys):
    path = str(tmp_path / "exported")
    kgp.export.export_model(
        two_inputs(), path, batch_size=2, verify=False, verbose=False
    )
    assert run("report", path) == 0
    text = capsys.readouterr().out
    assert "left  │ (2, 4) │ float32" in text
    assert "sum   │ (2, 3) │ float32" in text


def two_inputs():
    left = keras.Input((4,), name="left")
    right = keras.Input((2,), name="right", dtype="int32")
    numbers = keras.ops.cast(right, "float32")
    x = keras.ops.concatenate([left, numbers], axis=-1)
    return keras.Model([left, right], keras.layers.Dense(3, name="sum")(x))


def test_sizes_that_are_not_fixed_are_any(tmp_path, capsys):
    inputs = keras.Input((None, 2), name="steps")
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    path = str(tmp_path / "exported")
    kgp.export.export_model(model, path, verify=False, verbose=False)
    assert run("report", path) == 0
    text = capsys.readouterr().out
    assert "(any, any, 2)" in text and "(any, any, 3)" in text


def test_flops_that_are_not_known(tmp_path, capsys):
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(2, 3, name="conv")(inputs)
    path = saved(keras.Model(inputs, x), tmp_path, "any.keras")
    assert run("report", path) == 0
    text = capsys.readouterr().out
    assert row(text, "conv")[-2:] == ["20", "-"]
    assert row(text, "total") == ["total", "20", "-"]
    assert "FLOPs are not known" in text and "fixed size" in text


@pytest.mark.parametrize(
    "network",
    [
        plain_networks.nested,
        plain_networks.attention,
        plain_networks.recurrent,
        plain_networks.separable,
        plain_networks.sequences,
    ],
)
def test_layers_add_up_to_the_network(network):
    model = network()
    costs = layer_costs(model)
    assert sum(cost.params for cost in costs) == model.count_params()
    flops = sum(cost.flops or 0 for cost in costs)
    assert flops == kgp.count_flops(model) > 0

"""What `structure_summary` shows."""

import numpy as np

import keras_growprune as kgp
from tests.networks import compile_model
from tests.networks import fit
from tests.networks import grow
from tests.networks import residual


def cells(model):
    """Rows of the table by their first cell."""
    shown = []
    model.structure_summary(print_fn=shown.append)
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in shown[0].splitlines()
        if line.startswith("│")
    ]
    return {row[0].split(" ")[0]: row[1:] for row in rows}


def shallow(blocks=2):
    """A network whose branches are not in the seed."""
    schedule = kgp.GrowthSchedule(
        seed_fraction=0.4, peak=1.0, seed_shape="shallow"
    )
    return grow(residual(filters=8, blocks=blocks, inner=6), schedule=schedule)


def test_what_is_inside_a_branch_that_is_out_is_out_too():
    model = shallow()
    everything = np.ones_like(model.structure.units)
    model.restructure(kgp.Structure(everything, [True, False]))
    rows = cells(model)
    stem, first, second = [group.name for group in model.groups]
    assert rows[stem][:2] == ["█", "8"]
    assert rows[first][:2] == ["█", "6"]
    assert rows[second] == ["·", "out", "out", "6"]
    gates = model.structure.gate_names
    assert rows[gates[0]][1] == "in"
    assert rows[gates[1]] == ["", "out", "out", "in"]


def test_the_seed_is_shown_as_it_was():
    model = shallow()
    everything = kgp.Structure(np.ones_like(model.structure.units), [1, 1])
    model.restructure(everything)
    rows = cells(model)
    assert rows[model.groups[2].name] == ["█", "6", "out", "6"]
    assert rows[model.structure.gate_names[1]][1:3] == ["in", "out"]


def test_a_gate_stands_behind_the_layers_of_its_branch():
    model = shallow()
    names = list(cells(model))
    groups = [group.name for group in model.groups]
    gates = model.structure.gate_names
    expected = [groups[0], groups[1], gates[0], groups[2], gates[1]]
    assert names[1:] == expected


def test_logits_of_an_earlier_price_are_not_shown():
    model = compile_model(grow(residual(filters=8)))
    fit(model, epochs=3, growth_epochs=20)
    name, state = model.groups[0].name, model._growth.state
    state.logits = np.full_like(state.logits, 1.5)
    state.price = 1e-6
    assert cells(model)[name][-1] == "+1.5"
    state.price = -1e-6
    assert cells(model)[name][-1] == str(model.groups[0].size)


def test_a_column_of_dashes_is_left_out(capsys):
    model = compile_model(grow(residual(filters=8)))
    model.structure_summary()
    assert "mean logit" not in capsys.readouterr().out
    fit(model, epochs=3, growth_epochs=20)
    model.structure_summary()
    assert "mean logit" in capsys.readouterr().out


def test_one_epoch_is_one():
    model = compile_model(shallow())
    fit(model, epochs=1, growth_epochs=4)
    shown = []
    model.structure_summary(print_fn=shown.append)
    assert "training so far: 1 epoch, " in shown[0]


def test_the_ledger_draws_a_dot_for_what_was_out():
    model = compile_model(shallow())
    fit(model, epochs=1, growth_epochs=4)
    line = str(model.ledger).splitlines()[3]
    assert line.split("│")[2].strip().endswith("·")

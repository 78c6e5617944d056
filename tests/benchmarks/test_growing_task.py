"""Structures and phases of the benchmarks' growing networks."""

import types

import growing_task
import keras
import numpy as np

import keras_growprune as kgp


class TinyTask(growing_task.GrowingTask):
    def network(self):
        inputs = keras.Input((4, 4, 1))
        x = kgp.layers.GrowableConv2D(4, 3, padding="same")(inputs)
        branch = kgp.layers.GrowableConv2D(4, 3, padding="same")(x)
        x = kgp.layers.GatedAdd()([x, branch])
        x = keras.layers.GlobalAveragePooling2D()(x)
        return inputs, keras.layers.Dense(2)(x)


def test_phases_join_periods_of_one_structure_and_weigh_them_by_examples():
    def period(examples, width, gate):
        return {"examples": examples, "units": [width], "gates": [gate]}

    periods = [
        period(30, 2, False),
        period(20, 2, True),
        period(30, 2, True),
        period(40, 2, False),
    ]
    ledger = types.SimpleNamespace(
        epochs=periods, total=lambda key: sum(each[key] for each in periods)
    )
    model = types.SimpleNamespace(ledger=ledger)
    phases = TinyTask().phases(model, epochs=2)
    assert [epochs for epochs, _ in phases] == [0.5, 5 / 6, 2 / 3]
    for (_, structure), gate in zip(phases, [False, True, False]):
        np.testing.assert_array_equal(structure.units, [1, 1, 0, 0])
        np.testing.assert_array_equal(structure.gates, [gate])

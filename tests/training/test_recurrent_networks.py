"""Recurrent networks that grow: exact at every moment, nothing lost."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras.ops import convert_to_numpy as to_numpy

import keras_growprune as kgp
from keras_growprune.structure import Structure

FULL = kgp.GrowthSchedule(seed_fraction=1.0, peak=1.0)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
WORDS = np.random.default_rng(0).integers(1, 7, (12, 5)).astype("int32")


def language_model(**arguments):
    arguments = {"steps": 5, "stateful": False, **arguments}
    return kgp.models.lstm_language_model(
        7, 6, batch_size=arguments.pop("batch_size", None), **arguments
    )


def grown(network, budget=0.5, schedule=FULL, optimizer="adam", **kwargs):
    model = kgp.GrowPruneModel(
        *network, kgp.Budget(params=budget), schedule=schedule, seed=0, **kwargs
    )
    model.compile(optimizer, LOSS)
    return model


def structure_with(model, random, chance=0.6):
    units = random.random(model.structure.units.shape) < chance
    for group in model.groups:
        units[group.start] = True
    return Structure(units, model.structure.gates)


def stacked():
    return language_model(layers=2, dropout=0.1)


def residual():
    return language_model(layers=2, residual=True)


def masked_both_ways():
    inputs = keras.Input((5,), dtype="int32")
    x = kgp.layers.GrowableEmbedding(7, 6, mask_zero=True)(inputs)
    layer = kgp.layers.GatedGRU(6, return_sequences=True)
    x = layers.LayerNormalization()(layers.Bidirectional(layer)(x))
    # Not `TimeDistributed`: with masks it fails in a graph of Keras 3.8.
    return inputs, layers.Dense(7)(x)


def multiplied_both_ways():
    inputs = keras.Input((5,), dtype="int32")
    x = kgp.layers.GrowableEmbedding(7, 6)(inputs)
    layer = kgp.layers.GatedLSTM(6, return_sequences=True)
    x = layers.Bidirectional(layer, merge_mode="mul")(x)
    return inputs, layers.Dense(7)(x)


def decoding_from_states():
    inputs = keras.Input((5,), dtype="int32")
    x = kgp.layers.GrowableEmbedding(7, 6)(inputs)
    _, *states = kgp.layers.GatedLSTM(6, return_state=True)(x)
    decoder = kgp.layers.GatedLSTM(6, return_sequences=True)
    x = decoder(x, initial_state=states)
    return inputs, layers.Dense(7)(x)


def tied():
    return language_model(layers=2, tied=True)


NETWORKS = [stacked, residual, masked_both_ways]
if kgp.layers.GrowableReversibleEmbedding is not None:
    NETWORKS.append(tied)


@pytest.mark.parametrize(
    "network, rule",
    [
        *zip(NETWORKS[:2], ("saliency", "paper")),
        *(
            pytest.param(network, rule, marks=pytest.mark.slow)
            for network, rule in zip(NETWORKS[2:], ("saliency", "paper"))
        ),
        (multiplied_both_ways, "paper"),
        (decoding_from_states, "paper"),
    ],
)
def test_compact_network_answers_as_the_growing_one(network, rule):
    if rule == "paper":  # whose gates stay soft at this temperature
        rule = kgp.growth.PaperRule(final_temperature=1.0)
    model = grown(network(), schedule=None, rule=rule)
    words = WORDS.copy()
    words[:, -2:] = 0  # which some of the networks mask
    widths = set()
    for epochs in (2, 2):
        model.fit(words, words, epochs=epochs, growth_epochs=4, verbose=0)
        expected = to_numpy(model(words, training=False))
        small = model.compact()
        found = to_numpy(small(words, training=False))
        assert np.abs(found - expected).max() <= 1e-5
        widths.add(tuple(model.widths.values()))
    assert len(widths) > 1 and model.settled
    full = grown(network()).compact().count_params()
    gates = [x for x in small.layers if isinstance(x, layers.Rescaling)]
    assert small.count_params() <= 0.5 * full
    assert not gates or rule != "saliency"


@pytest.mark.sampled(4)
@pytest.mark.parametrize("network", NETWORKS)
def test_newcomers_do_not_move_the_outputs_and_learn(network):
    """No unit, and no layer, is stuck at its start."""
    model = grown(network(), schedule=kgp.GrowthSchedule(0.3, 0.9))
    model.fit(WORDS, WORDS, epochs=1, growth_epochs=50, verbose=0)
    before = to_numpy(model(WORDS, training=False))
    units, gates = model.structure.units, np.ones_like(model.structure.gates)
    assert not units.all()
    for each in (units, np.ones_like(units)):  # first the layers alone
        model.restructure(Structure(each, gates))
        if network is not masked_both_ways:  # a layer norm sees who joins
            after = to_numpy(model(WORDS, training=False))
            assert np.abs(after - before).max() <= 1e-6
    before = [v.numpy() for v in model.trainable_variables]
    for _ in range(6):
        model.train_on_batch(WORDS, WORDS)
    for variable, old in zip(model.trainable_variables, before):
        if "recurrent" not in variable.path:  # those wait for the others
            moved = np.any(variable.numpy() != old, axis=0)
            assert moved.all(), variable.path


@pytest.mark.parametrize("layer", ["GatedLSTM", "GatedGRU"])
def test_a_new_recurrent_branch_adds_nothing_at_first(layer):
    inputs = keras.Input((5,), dtype="int32")
    x = kgp.layers.GrowableEmbedding(7, 6)(inputs)
    y = getattr(kgp.layers, layer)(6, return_sequences=True)(x)
    x = kgp.layers.GatedAdd()([x, y])
    network = inputs, layers.Dense(7)(x)
    schedule = kgp.GrowthSchedule(0.3, 0.9, seed_shape="shallow")
    model = grown(network, schedule=schedule)
    assert not model.structure.gates.any()
    before = to_numpy(model(WORDS, training=False))
    units = np.ones_like(model.structure.units)
    model.restructure(Structure(model.structure.units, [True]))
    model.restructure(Structure(units, [True]))
    after = to_numpy(model(WORDS, training=False))
    assert np.abs(after - before).max() <= 1e-6
    for _ in range(3):
        model.train_on_batch(WORDS, WORDS)
    branch = np.abs(to_numpy(model.layers[2](model.layers[1](WORDS))))
    assert (branch.max(axis=(0, 1)) > 1e-4).all()


def test_a_skipped_lstm_is_there_at_first_and_may_leave():
    """It cannot start as the identity, so no seed goes without it."""
    inputs = keras.Input((5,), dtype="int32")
    x = kgp.layers.GrowableEmbedding(7, 6)(inputs)
    x = kgp.layers.GatedLSTM(6, return_sequences=True)(x)
    y = kgp.layers.GatedLSTM(6, return_sequences=True)(x)
    x = kgp.layers.GatedSkip()([x, y])
    schedule = kgp.GrowthSchedule(0.4, 0.9, seed_shape="shallow")
    model = grown((inputs, layers.Dense(7)(x)), schedule=schedule)
    assert model.structure.gates.all()
    for is_there in (False, True):
        model.restructure(Structure(model.structure.units, [is_there]))
        small = model.compact()
        lstms = [x for x in small.layers if isinstance(x, layers.LSTM)]
        assert len(lstms) == 1 + is_there
        expected = to_numpy(model(WORDS, training=False))
        found = to_numpy(small(WORDS, training=False))
        assert np.abs(found - expected).max() <= 1e-6


def test_units_that_stay_keep_weights_and_slots_and_those_back_have_theirs():
    model = grown(stacked())
    model.fit(WORDS, WORDS, epochs=1, verbose=0, growth_epochs=99)
    variables = [*model.variables, *model.optimizer.variables]
    before = [to_numpy(variable) for variable in variables]
    everything = model.structure
    small = structure_with(model, np.random.default_rng(1))
    model.restructure(small)
    layer = model.layers[3]
    group = next(g for g in model.groups if g.writers == (layer,))
    kept = np.flatnonzero(small.units[group.slice])
    columns = np.concatenate([kept + 6 * block for block in range(4)])
    index = next(
        i for i, v in enumerate(variables) if v is layer.cell.recurrent_kernel
    )
    expected = before[index][np.ix_(kept, columns)]
    assert np.array_equal(layer.cell.recurrent_kernel.numpy(), expected)
    model.restructure(everything)
    for variable, old in zip(variables, before):
        assert np.array_equal(to_numpy(variable), old), variable.path


def test_carried_states_are_sliced_with_their_units():
    model = grown(language_model(batch_size=3, stateful=True), schedule=FULL)
    model.predict_on_batch(WORDS[:3])
    layer = model.layers[3]
    states = [to_numpy(state) for state in layer.states]
    assert all(np.abs(state).min() > 0 for state in states)
    small = structure_with(model, np.random.default_rng(2), 0.5)
    group = next(g for g in model.groups if g.writers == (layer,))
    kept = small.units[group.slice]
    assert 0 < kept.sum() < kept.size
    model.restructure(small)
    for state, old in zip(layer.states, states, strict=True):
        assert np.array_equal(to_numpy(state), old[:, kept])
    # The compact network goes on from there.
    compact = model.compact()
    expected = model.predict_on_batch(WORDS[3:6])
    assert np.abs(compact.predict_on_batch(WORDS[3:6]) - expected).max() <= 1e-5
    # Who comes back starts from zero, like a newcomer.
    states = [to_numpy(state) for state in layer.states]
    model.restructure(Structure(np.ones_like(small.units), small.gates))
    for state, old in zip(layer.states, states, strict=True):
        assert np.array_equal(to_numpy(state)[:, kept], old)
        assert not to_numpy(state)[:, ~kept].any()


def test_stateful_network_grows_in_fit():
    model = grown(
        language_model(batch_size=3, stateful=True),
        schedule=kgp.GrowthSchedule(0.3, 0.9, restructure_every=0.5),
    )
    model.fit(WORDS, WORDS, batch_size=3, epochs=3, shuffle=False, verbose=0)
    assert model.settled
    recurrent = [x for x in model.layers if isinstance(x, layers.LSTM)]
    assert 1 <= min(layer.units for layer in recurrent) < 6
    for layer in recurrent:
        assert [tuple(x.shape) for x in layer.states] == [(3, layer.units)] * 2


def test_saliency_is_that_of_the_rows_that_read_a_unit():
    """The gradient of a gate is the sum of row times gradient, over readers."""
    model = grown(language_model(layers=2), optimizer="sgd")
    model.optimizer.learning_rate = 0.0
    model.fit(WORDS, WORDS, epochs=1, growth_epochs=50, verbose=0)
    with tf.GradientTape(persistent=True) as tape:
        loss = LOSS(WORDS, model(WORDS, training=True))
    model.train_on_batch(WORDS, WORDS)
    total = model._growth.network.meter._sums.numpy()[0]
    first, second = (x for x in model.layers if isinstance(x, layers.LSTM))
    for layer, reader in (
        (first, second.cell.kernel),
        (second, model.layers[-1].kernel),
    ):
        expected = 0
        for rows in (layer.cell.recurrent_kernel, reader):
            gradient = to_numpy(tape.gradient(loss, rows.value))
            expected = expected + (to_numpy(rows) * gradient).sum(axis=1)
        group = next(g for g in model.groups if g.writers == (layer,))
        assert total[group.slice] == pytest.approx(expected, rel=1e-3)
    # And of the embedding, from the rows that were looked up.
    table = model.layers[1].embeddings
    gradient = tf.convert_to_tensor(tape.gradient(loss, table.value))
    values = (table.numpy() * to_numpy(gradient)).sum(axis=0)
    group = next(g for g in model.groups if g.writers == (model.layers[1],))
    assert total[group.slice] == pytest.approx(values, rel=1e-3)


def test_dormant_units_have_no_gradients_and_no_weights():
    model = grown(stacked(), schedule=kgp.GrowthSchedule(0.3, 0.9))
    widths = list(model.widths.values())
    assert all(width < 6 for width in widths)
    shapes = [tuple(v.shape) for v in model.trainable_variables]
    embedding, first, second = widths
    assert shapes == [
        (7, embedding),
        (embedding, 4 * first),
        (first, 4 * first),
        (4 * first,),
        (first, 4 * second),
        (second, 4 * second),
        (4 * second,),
        (second, 7),
        (7,),
    ]


def test_forget_gates_of_newcomers_start_open():
    model = grown(stacked(), schedule=kgp.GrowthSchedule(0.3, 0.9))
    everything = np.ones_like(model.structure.units)
    model.restructure(Structure(everything, model.structure.gates))
    bias = model.layers[3].cell.bias.numpy().reshape(4, 6)
    assert np.array_equal(bias, np.outer([0, 1, 0, 0], np.ones(6)))


def test_state_that_cannot_change_keeps_the_layer():
    inputs = keras.Input((5, 2))
    start = keras.Input((4,))
    x = kgp.layers.GatedGRU(4)(inputs, initial_state=start)
    x = kgp.layers.GrowableDense(32)(x)
    model = kgp.GrowPruneModel(
        [inputs, start], layers.Dense(2)(x), kgp.Budget(params=0.8)
    )
    report = model.coupling_report()
    assert "starts from a state" in report.frozen["gated_gru"]


def test_report_names_both_directions_as_one_group():
    report = grown(masked_both_ways()).coupling_report()
    group = report.groups[1]
    assert group.writers == ["forward_gated_gru", "backward_gated_gru"]
    assert group.channels == 1
    assert any("two directions" in why for why in group.why)


def test_widths_are_multiples_of_units_not_of_columns():
    model = kgp.GrowPruneModel(
        *kgp.models.lstm_language_model(9, 32, steps=5),
        kgp.Budget(params=0.5),
        width_multiple=8,
        seed=0,
    )
    assert {width % 8 for width in model.widths.values()} == {0}
    assert set(model._growth.blueprint.map.multiples(8)) == {8}


def test_costs_are_those_of_the_compact_network():
    model = grown(stacked())
    full = kgp.count_flops(model.compact())
    # Each step: kernels of both LSTMs and the dense layer.
    assert full == 5 * (2 * (6 * 24 + 6 * 24) + 6 * 7)
    model.restructure(structure_with(model, np.random.default_rng(3)))
    small = model.compact()
    found = model._growth.network.fractions()
    assert found["flops"] * full == pytest.approx(kgp.count_flops(small))


@pytest.mark.skipif(
    kgp.layers.GrowableReversibleEmbedding is None, reason="Keras 3.8"
)
def test_tied_table_counts_where_it_multiplies():
    model = grown(tied())
    full = kgp.count_flops(model.compact())
    assert full == 5 * (2 * (6 * 24 + 6 * 24) + 6 * 7)
    assert len(model.groups) == 2  # the table with the last LSTM


def test_model_is_saved_and_loaded_in_the_middle(tmp_path):
    model = grown(stacked(), schedule=kgp.GrowthSchedule(0.3, 0.9))
    model.fit(WORDS, WORDS, epochs=2, growth_epochs=9, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    expected = model.predict(WORDS, verbose=0)
    assert np.array_equal(again.predict(WORDS, verbose=0), expected)
    for each in (model, again):
        keras.utils.set_random_seed(1)
        each.fit(WORDS, WORDS, epochs=1, growth_epochs=9, verbose=0)
    assert model.structure == again.structure

"""Statistics of norms, and the examples that they are measured on."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_growprune as kgp
from keras_growprune import backend
from tests.distribution import replicas
from tests.distribution.replicas import Run
from tests.distribution.replicas import two_replicas


def ordinary():
    return replicas.residual(1, synchronized=False)


@pytest.fixture(scope="module")
def trained():
    return Run(ordinary, two_replicas())


def averages_of(model):
    """The mean of a norm, of each replica, and what averages it."""
    norm = next(
        layer
        for layer in model.layers
        if isinstance(layer, layers.BatchNormalization)
    )
    norms = model._growth.network.norms
    copies = backend.copies_of(norm.moving_mean.value)
    return copies, lambda: norms.average_over_replicas(
        backend.replicas_of(model)
    )


def test_averages_of_norms_are_equal_on_all_replicas(trained):
    replicas.assert_replicas_agree(trained.model)
    expected = trained.model.predict(trained.x, verbose=0)
    answers = trained.model.compact().predict(trained.x, verbose=0)
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_each_replica_gets_the_mean_of_all(trained):
    (one, other), average = averages_of(trained.model)
    count = one.shape[0] or len(one.numpy())
    one.assign(np.arange(count))
    other.assign(3.0 * np.arange(count))
    average()
    np.testing.assert_array_equal(one.numpy(), 2.0 * np.arange(count))
    np.testing.assert_array_equal(other.numpy(), 2.0 * np.arange(count))


def test_a_replica_that_had_no_example_does_not_count(trained):
    (one, other), average = averages_of(trained.model)
    count = len(one.numpy())
    one.assign(np.arange(count))
    other.assign(np.full(count, np.nan))
    average()
    np.testing.assert_array_equal(one.numpy(), np.arange(count))
    np.testing.assert_array_equal(other.numpy(), np.arange(count))


def keep(most, batches=3, memory=2**20):
    """Keeps rows that tell their number, in batches of four a replica."""
    strategy = two_replicas()
    with strategy.scope():
        kept = backend.Examples([(3,)], ["float32"], most, memory)
    rows = np.repeat(np.arange(8.0 * batches), 3).reshape(-1, 3)
    rows = rows.astype("float32")
    for start in range(0, 8 * batches, 8):
        batch = strategy.experimental_distribute_values_from_function(
            lambda context, start=start: rows[
                start + 4 * context.replica_id_in_sync_group :
            ][:4]
        )
        strategy.run(
            lambda x: kept.keep([keras.ops.convert_to_tensor(x)]),
            args=(batch,),
        )
    return [[int(row[0]) for row in x.numpy()] for (x,) in kept.all()]


def test_replicas_keep_the_latest_examples_together():
    assert keep(8) == [[16, 17, 18, 19, 20, 21, 22, 23]]
    assert keep(12) == [
        [10, 11, 16, 17, 18, 19, 14, 15, 20, 21, 22, 23],
    ]


def test_no_more_replicas_are_asked_than_examples_may_be_kept():
    assert keep(1) == [[19]]
    assert keep(256, memory=12) == [[19]]


@pytest.mark.slow
def test_on_the_digits_without_norms_all_is_the_same_in_single_precision():
    def network():
        return replicas.digits_network(norms=None)

    one = replicas.OnDigits(network, rate=0.01)
    two = replicas.OnDigits(network, two_replicas(), rate=0.01)
    assert one.changes() > 2
    assert one.structures == two.structures
    np.testing.assert_allclose(one.losses, two.losses, rtol=1e-4)


@pytest.mark.slow
def test_on_the_digits_ordinary_norms_lead_to_nearly_the_same_structures():
    """Each replica normalizes its half of a batch: that is another network."""

    def network():
        return replicas.digits_network(norms="ordinary")

    one = replicas.OnDigits(network)
    two = replicas.OnDigits(network, two_replicas())
    assert one.changes() > 2
    for mine, other in zip(one.structures, two.structures, strict=True):
        np.testing.assert_array_equal(mine.gates, other.gates)
    assert np.abs(np.array(one.widths) - two.widths).max() <= 2
    np.testing.assert_allclose(one.losses[0], two.losses[0], rtol=0.1)
    assert one.losses[0] != two.losses[0]


def test_states_that_replicas_carry_alone_stay_their_own():
    keras.utils.set_random_seed(0)
    with two_replicas().scope():
        inputs = keras.Input(batch_shape=(2, 3, 2))
        recurrent = kgp.layers.GatedLSTM(4, stateful=True)
        outputs = layers.BatchNormalization()(recurrent(inputs))
        outputs = layers.Dense(1)(outputs)
        budget = kgp.Budget(params=1.0)
        model = kgp.GrowPruneModel(inputs, outputs, budget, seed=0)
        model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(4, 3, 2)).astype("float32")
    model.fit(x, x[:, 0, :1], batch_size=4, epochs=1, verbose=0)

    def states():
        return [
            [each.numpy() for each in backend.copies_of(state.value)]
            for state in recurrent.states
        ]

    before, whole = states(), model.structure
    assert not np.array_equal(*before[0])
    units = whole.units.copy()
    units[-1] = False
    model.restructure(kgp.Structure(units, whole.gates))
    for old, new in zip(before, states()):
        for one, other in zip(old, new):
            np.testing.assert_array_equal(one[:, :-1], other)
    model.restructure(whole)
    for old, new in zip(before, states()):
        for one, other in zip(old, new):
            np.testing.assert_array_equal(one[:, :-1], other[:, :-1])
            np.testing.assert_array_equal(other[:, -1], 0.0)


def test_states_that_replicas_carry_alone_outlive_the_first_structure():
    with two_replicas().scope():
        inputs = keras.Input(batch_shape=(2, 3, 2))
        recurrent = kgp.layers.GatedLSTM(4, stateful=True)
        outputs = layers.Dense(1)(recurrent(inputs))
        copies = [copy for s in recurrent.states for copy in s.value.values]
        for place, copy in enumerate(copies):
            copy.assign(place + np.arange(8.0).reshape(2, 4))
        schedule = kgp.GrowthSchedule(seed_fraction=0.5)
        model = kgp.GrowPruneModel(
            inputs, outputs, kgp.Budget(params=0.6), schedule, seed=0
        )
    (units,) = model.widths.values()
    assert 0 < units < 4
    copies = [copy for s in recurrent.states for copy in s.value.values]
    for place, copy in enumerate(copies):
        expected = place + np.arange(8.0).reshape(2, 4)[:, :units]
        np.testing.assert_array_equal(copy.numpy(), expected)

import numpy as np

from keras_growprune.growth import relaxation


def test_temperature_rises_with_the_age_of_the_unit():
    found = relaxation.temperature([0, 5, 10], epochs=10)
    np.testing.assert_allclose(found, [1.0, 10.0, 100.0], rtol=1e-12)


def test_temperature_starts_at_the_initial_one():
    found = relaxation.temperature([0, 2], epochs=4, initial=3.0, final=16.0)
    np.testing.assert_allclose(found, [3.0, 12.0], rtol=1e-12)


def test_temperature_before_the_first_run_is_defined():
    np.testing.assert_array_equal(relaxation.temperature([0], epochs=0), [1.0])


def test_presence_is_the_sigmoid_of_temperature_times_logit():
    logits = [0.0, np.log(3), -np.log(3), np.log(3)]
    found = relaxation.presence(logits, [5.0, 1.0, 1.0, 2.0])
    np.testing.assert_allclose(found, [0.5, 0.75, 0.25, 0.9], rtol=1e-12)


def test_presence_of_huge_arguments_does_not_overflow():
    with np.errstate(all="raise"):
        found = relaxation.presence([-1e4, 1e4], [1e3, 1e3])
    np.testing.assert_array_equal(found, [0.0, 1.0])


def test_units_are_drawn_as_often_as_their_presence_says():
    chances = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    random = np.random.default_rng(0)
    drawn = [relaxation.sample(chances, random) for _ in range(5000)]
    frequencies = np.mean(drawn, axis=0)
    assert frequencies[0] == 0.0
    assert frequencies[4] == 1.0
    # Four standard deviations of 5000 draws are at most 0.029.
    np.testing.assert_allclose(frequencies, chances, atol=0.029)


def test_units_are_drawn_independently_of_each_other():
    random = np.random.default_rng(0)
    chances = np.full(2, 0.5)
    drawn = np.array([relaxation.sample(chances, random) for _ in range(4000)])
    assert abs(np.mean(drawn[:, 0] == drawn[:, 1]) - 0.5) < 0.032


def test_the_same_seed_draws_the_same_units():
    chances = np.full(100, 0.5)
    first, second, other = (
        relaxation.sample(chances, np.random.default_rng(seed))
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()

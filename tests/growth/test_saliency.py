import numpy as np
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_growprune.growth.saliency import average_by_halves
from keras_growprune.growth.saliency import saliency

NAN = float("nan")


def test_saliency_is_half_the_batch_times_variance_minus_mean():
    # t = 1, 2: mean 1.5, variance 0.25: 8 / 2 * 0.25 - 1.5 = -0.5
    # t = -1, 3: mean 1, variance 4: 8 / 2 * 4 - 1 = 15
    found = saliency([3.0, 2.0], [5.0, 10.0], steps=2, batch_size=8)
    np.testing.assert_array_equal(found, [-0.5, 15.0])


def test_a_factor_that_lowers_the_loss_is_worth_more():
    # Equal variance; t < 0: a larger factor lowers the loss.
    found = saliency([-4.0, 4.0], [10.0, 10.0], steps=2, batch_size=2)
    np.testing.assert_array_equal(found, [3.0, -1.0])


def test_a_unit_without_gradient_is_worth_nothing():
    assert saliency([0.0], [0.0], steps=7, batch_size=32)[0] == 0.0


def test_a_variance_below_zero_by_rounding_counts_as_zero():
    found = saliency([3.0], [4.5 - 1e-6], steps=2, batch_size=1e9)
    np.testing.assert_array_equal(found, [-1.5])


def test_without_steps_nothing_is_known():
    found = saliency([0.0, 0.0], [0.0, 0.0], steps=0, batch_size=8)
    assert found.shape == (2,)
    assert np.isnan(found).all()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 2**16), st.integers(1, 9), st.integers(1, 64))
def test_sums_give_what_the_samples_give(seed, steps, batch_size):
    t = np.random.default_rng(seed).normal(size=(steps, 4))
    found = saliency(t.sum(0), np.square(t).sum(0), steps, batch_size)
    expected = batch_size / 2 * t.var(axis=0) - t.mean(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_each_epoch_weighs_one_half():
    average = np.array([NAN])
    for measured in ([8.0], [4.0], [2.0]):
        average = average_by_halves(average, measured)
    # 8, (8 + 4) / 2 = 6, (6 + 2) / 2 = 4
    np.testing.assert_array_equal(average, [4.0])


def test_what_was_not_measured_keeps_its_old_average():
    found = average_by_halves([1.0, NAN, 3.0, NAN], [NAN, 2.0, 5.0, NAN])
    np.testing.assert_array_equal(found, [1.0, 2.0, 4.0, NAN])

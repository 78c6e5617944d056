import keras
import numpy as np
import pytest

import keras_growprune as kgp
from keras_growprune.models import wide_resnet

SMALL = dict(input_shape=(8, 8, 3), depth=16, widening=2, width=0.25)


def test_growable_network_computes_what_its_plain_twin_computes():
    growable = keras.Model(*wide_resnet(**SMALL))
    plain = keras.Model(*wide_resnet(**SMALL, growable=False))
    growable.set_weights(plain.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(growable(x), plain(x), atol=1e-6)


def test_wrn_28_10_has_the_published_size():
    model = keras.Model(*wide_resnet(growable=False))
    assert model.count_params() == pytest.approx(36.5e6, rel=0.002)
    assert kgp.count_flops(model) == pytest.approx(5.2e9, rel=0.02)


def test_all_blocks_but_the_first_of_a_stage_may_leave():
    model = kgp.GrowPruneModel(*wide_resnet(**SMALL), kgp.Budget(flops=0.5))
    assert len(model.structure.gates) == 3
    # The stem, three stages, and one group inside each of the six blocks.
    assert len(model.groups) == 1 + 3 + 6


@pytest.mark.parametrize("depth", [4, 8, 20, -2])
def test_a_depth_that_is_not_6n_plus_4_is_refused(depth):
    with pytest.raises(ValueError, match=f"6n . 4.*Received: depth={depth}"):
        wide_resnet(depth=depth)


@pytest.mark.parametrize("width", [0, -1])
def test_a_width_that_is_no_positive_number_is_refused(width):
    with pytest.raises(ValueError, match=f"Received: width={width!r}"):
        kgp.models.wide_resnet(width=width)


def test_a_widening_of_nothing_is_refused():
    with pytest.raises(ValueError, match="Received: widening=0"):
        kgp.models.wide_resnet(widening=0)

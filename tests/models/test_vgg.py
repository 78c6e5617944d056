import keras
import numpy as np
import pytest

import keras_growprune as kgp
from keras_growprune.models import vgg16

SMALL = dict(input_shape=(32, 32, 3), width=0.0625)


def test_growable_network_computes_what_its_plain_twin_computes():
    growable = keras.Model(*vgg16(**SMALL))
    plain = keras.Model(*vgg16(**SMALL, growable=False))
    growable.set_weights(plain.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(growable(x), plain(x), atol=1e-6)


def test_vgg_16_has_the_published_size():
    model = keras.Model(*vgg16(growable=False))
    assert round(model.count_params() / 1e6, 1) == 14.7
    assert kgp.count_flops(model) == pytest.approx(313e6, rel=0.002)


def test_a_layer_that_keeps_the_shape_may_leave():
    model = kgp.GrowPruneModel(*vgg16(**SMALL), kgp.Budget(flops=0.5))
    # One in the first two stages each, two in the third and fourth, three in
    # the last one, which is as wide as the fourth.
    assert len(model.structure.gates) == 1 + 1 + 2 + 2 + 3
    assert len(model.groups) == 4


def test_without_skips_each_layer_has_a_width_of_its_own():
    inputs, outputs = vgg16(**SMALL, skips=False)
    model = kgp.GrowPruneModel(inputs, outputs, kgp.Budget(flops=0.5))
    assert len(model.structure.gates) == 0
    assert len(model.groups) == 13


def test_small_images_are_pooled_to_a_single_position_and_no_further():
    assert keras.Model(*vgg16((8, 8, 1), width=0.0625)).output_shape == (
        None,
        10,
    )


@pytest.mark.parametrize("width", [0, -1])
def test_a_width_that_is_no_positive_number_is_refused(width):
    with pytest.raises(ValueError, match=f"Received: width={width!r}"):
        kgp.models.vgg16(width=width)

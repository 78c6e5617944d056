import keras
import numpy as np
import pytest

from keras_growprune import count_flops
from keras_growprune.layers import GatedAdd
from keras_growprune.layers import GrowableConv2D
from keras_growprune.models import resnet


def test_growable_network_computes_what_its_plain_twin_computes():
    arguments = dict(input_shape=(8, 8, 3), depth=8, width=0.25)
    growable = keras.Model(*resnet(**arguments))
    plain = keras.Model(*resnet(**arguments, growable=False))
    growable.set_weights(plain.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(growable(x), plain(x), atol=1e-6)


def test_plain_twin_has_plain_layers_only():
    model = keras.Model(*resnet(input_shape=(8, 8, 3), growable=False))
    modules = {type(layer).__module__ for layer in model.layers}
    assert all(module.startswith("keras.") for module in modules)


@pytest.mark.parametrize("depth, gates", [(8, 1), (20, 7)])
def test_all_convolutions_grow_and_all_blocks_but_the_strided_are_gated(
    depth, gates
):
    model = keras.Model(*resnet(depth=depth))
    count = {kind: 0 for kind in (GrowableConv2D, GatedAdd, keras.layers.Add)}
    for layer in model.layers:
        if type(layer) in count:
            count[type(layer)] += 1
    # One in the stem, depth - 2 in blocks, two shortcuts.
    assert count[GrowableConv2D] == depth + 1
    assert count[GatedAdd] == gates
    assert count[keras.layers.Add] == 2


def test_stages_have_16_32_and_64_filters_times_the_width():
    def widths(**kwargs):
        model = keras.Model(*resnet(depth=8, **kwargs))
        kind = keras.layers.Conv2D
        return sorted({x.filters for x in model.layers if isinstance(x, kind)})

    assert widths() == [16, 32, 64]
    assert widths(width=0.5) == [8, 16, 32]
    assert widths(width=0.01) == [1]


def test_outputs_are_logits_of_the_classes():
    inputs, outputs = resnet((16, 12, 1), classes=7, depth=8, width=0.25)
    assert inputs.shape == (None, 16, 12, 1)
    assert outputs.shape == (None, 7)
    x = np.full((1, 16, 12, 1), 50.0, "float32")
    logits = np.array(keras.Model(inputs, outputs)(x))
    assert not np.isclose(logits.sum(), 1.0)


def test_weight_decay_is_a_penalty_on_all_kernels_and_nothing_else():
    arguments = dict(input_shape=(8, 8, 3), depth=8, width=0.25)
    model = keras.Model(*resnet(weight_decay=0.5, **arguments))
    kernels = [w for w in model.trainable_weights if len(w.shape) > 1]
    expected = 0.5 * sum(float(np.sum(np.square(k))) for k in kernels)
    found = float(sum(model.losses))
    assert found == pytest.approx(expected, rel=1e-5)
    assert keras.Model(*resnet(**arguments)).losses == []


def test_resnet_20_has_the_published_size():
    model = keras.Model(*resnet(growable=False))
    assert model.count_params() == pytest.approx(0.27e6, rel=0.02)
    assert count_flops(model) == pytest.approx(41e6, rel=0.01)


@pytest.mark.parametrize("depth", [0, 2, 7, 18, 21, -4])
def test_a_depth_that_is_not_6n_plus_2_is_refused(depth):
    with pytest.raises(ValueError, match=f"6n . 2.*Received: depth={depth}"):
        resnet(depth=depth)


@pytest.mark.parametrize(
    "width", [0, -1, float("nan"), float("inf"), "half", None]
)
def test_a_width_that_is_no_positive_number_is_refused(width):
    with pytest.raises(ValueError, match=f"Received: width={width!r}"):
        resnet(width=width)

import keras
import pytest

from keras_growprune import layers as kgp
from keras_growprune.keras_internals import graph_calls
from keras_growprune.structure import find_branch_points
from keras_growprune.structure import find_factor_points
from keras_growprune.structure import trace_channels

layers = keras.layers


def points_of(inputs, outputs):
    model = keras.Model(inputs, outputs)
    channel_map = trace_channels(graph_calls(model), model.outputs)
    found = find_factor_points(channel_map), find_branch_points(channel_map)
    return [[(p.kind, p.layer.name) for p in points] for points in found]


def one_layer(*after, **kwargs):
    """Gate points of a convolution and the layers after it."""
    x = inputs = keras.Input((4, 4, 2))
    x = kgp.GrowableConv2D(3, 1, name="a", **kwargs)(x)
    for layer in after:
        x = layer(x)
    return points_of(inputs, layers.Conv2D(1, 1)(x))[0]


def branch(make, gate=kgp.GatedAdd):
    """Branch points of one gated layer, whose branch `make` builds."""
    inputs = keras.Input((4, 4, 2))
    x = kgp.GrowableConv2D(3, 1, name="stem")(inputs)
    x = gate(name="sum")([x, make(x)])
    return points_of(inputs, layers.Conv2D(1, 1)(x))[1]


def test_a_gate_acts_after_the_norm_that_follows():
    norm = layers.BatchNormalization(name="norm")
    assert one_layer(norm, layers.ReLU()) == [("norm", "norm")]


def test_a_gate_acts_after_a_norm_that_an_activation_precedes():
    norm = layers.LayerNormalization(name="norm")
    assert one_layer(layers.ReLU(), layers.Dropout(0.1), norm) == [
        ("norm", "norm")
    ]


def test_without_a_norm_a_gate_acts_on_the_layer():
    assert one_layer(layers.ReLU()) == [("layer", "a")]


def test_a_norm_behind_the_next_layer_does_not_count():
    x = inputs = keras.Input((4, 4, 2))
    x = kgp.GrowableConv2D(3, 1, name="a")(x)
    x = kgp.GrowableConv2D(3, 1, name="b")(x)
    x = layers.BatchNormalization(name="norm")(x)
    points, _ = points_of(inputs, layers.Conv2D(1, 1)(x))
    assert points == [("layer", "a"), ("norm", "norm")]


def test_a_plain_layer_has_no_gate():
    x = inputs = keras.Input((4, 4, 2))
    x = layers.BatchNormalization()(layers.Conv2D(3, 1)(x))
    x = kgp.GrowableConv2D(3, 1, name="a")(x)
    points, _ = points_of(inputs, layers.Conv2D(1, 1)(x))
    assert points == [("layer", "a")]


@pytest.mark.parametrize(
    "norm, expected",
    [
        (layers.BatchNormalization(), (["gamma", "beta"], True)),
        (layers.BatchNormalization(center=False), (["gamma"], True)),
        (layers.BatchNormalization(scale=False), (["beta"], False)),
        (layers.BatchNormalization(scale=False, center=False), ([], False)),
        (
            layers.BatchNormalization(trainable=False),
            (["gamma", "beta"], False),
        ),
    ],
)
def test_only_trained_factors_stand_for_a_gate(norm, expected):
    x = inputs = keras.Input((4, 4, 2))
    x = norm(kgp.GrowableConv2D(3, 1)(x))
    model = keras.Model(inputs, layers.Conv2D(1, 1)(x))
    channel_map = trace_channels(graph_calls(model), model.outputs)
    (point,) = find_factor_points(channel_map)
    assert (point.weights(), point.weights_suffice()) == expected
    assert point.units.tolist() == [0, 1, 2]
    assert point.axis == 3


def test_kernel_and_bias_stand_for_the_gate_of_a_layer():
    x = inputs = keras.Input((4, 4, 2))
    x = kgp.GrowableConv2D(3, 1, use_bias=False)(x)
    x = kgp.GrowableConv2D(3, 1)(x)
    model = keras.Model(inputs, layers.Conv2D(1, 1)(x))
    channel_map = trace_channels(graph_calls(model), model.outputs)
    first, second = find_factor_points(channel_map)
    assert first.weights() == ["kernel"] and first.weights_suffice()
    assert second.weights() == ["kernel", "bias"]


def test_a_branch_is_gated_at_its_last_norm():
    norm = layers.BatchNormalization(name="norm")
    found = branch(lambda x: norm(kgp.GrowableConv2D(3, 1)(x)))
    assert found == [("norm", "norm")]


def test_a_branch_without_a_norm_is_gated_at_its_last_layer():
    last = kgp.GrowableConv2D(3, 1, name="last")
    assert branch(last) == [("layer", "last")]


def test_a_branch_that_ends_in_an_activation_has_a_gate_of_its_own():
    last = kgp.GrowableConv2D(3, 1, activation="relu")
    assert branch(last) == [("branch", "sum")]
    assert branch(lambda x: layers.ReLU()(kgp.GrowableConv2D(3, 1)(x))) == [
        ("branch", "sum")
    ]


def test_a_branch_whose_norm_has_no_scale_has_a_gate_of_its_own():
    norm = layers.BatchNormalization(scale=False)
    found = branch(lambda x: norm(kgp.GrowableConv2D(3, 1)(x)))
    assert found == [("branch", "sum")]


def test_a_branch_that_others_read_has_a_gate_of_its_own():
    inputs = keras.Input((4, 4, 2))
    x = kgp.GrowableConv2D(3, 1)(inputs)
    y = kgp.GrowableConv2D(3, 1)(x)
    x = kgp.GatedAdd(name="sum")([x, y])
    x = layers.Add()([x, y])
    _, found = points_of(inputs, layers.Conv2D(1, 1)(x))
    assert found == [("branch", "sum")]


def test_a_branch_end_that_is_called_twice_has_a_gate_of_its_own():
    inputs = keras.Input((4, 4, 2))
    x = kgp.GrowableConv2D(3, 1)(inputs)
    shared = kgp.GrowableConv2D(3, 1)
    x = kgp.GatedAdd(name="first")([x, shared(x)])
    x = kgp.GatedAdd(name="second")([x, shared(x)])
    _, found = points_of(inputs, layers.Conv2D(1, 1)(x))
    assert found == [("branch", "first"), ("branch", "second")]


def test_weights_never_stand_for_a_skip_whose_branch_leaves_for_its_input():
    def make(x):
        return layers.BatchNormalization()(kgp.GrowableConv2D(3, 1)(x))

    assert branch(make, kgp.GatedSkip) == [("branch", "sum")]


def test_a_branch_ends_where_its_scale_is_made():
    def make(x):
        x = kgp.GrowableConv2D(3, 1)(x)
        x = layers.BatchNormalization(name="norm")(x)
        x = layers.Rescaling(0.5)(x)
        return layers.Dropout(0.5)(layers.SpatialDropout2D(0.5)(x))

    assert branch(make) == [("norm", "norm")]


def test_a_branch_with_an_offset_has_no_such_end():
    def make(x):
        x = layers.BatchNormalization()(kgp.GrowableConv2D(3, 1)(x))
        return layers.Rescaling(0.5, offset=1.0)(x)

    assert branch(make) == [("branch", "sum")]

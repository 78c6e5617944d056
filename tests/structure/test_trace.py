import keras
import numpy as np
import pytest

from keras_growprune import layers as kgp
from keras_growprune.keras_internals import graph_calls
from keras_growprune.structure import trace_channels

layers = keras.layers


def trace(inputs, outputs):
    model = keras.Model(inputs, outputs)
    return trace_channels(graph_calls(model), model.outputs)


def groups(channel_map):
    """Size and writers of each group, by names."""
    return {
        group.name: (group.size, [layer.name for layer in group.writers])
        for group in channel_map.groups
    }


def units(channel_map, layer, attribute="kernel"):
    """Units behind the axes of a weight, as lists."""
    (weight,) = [
        w
        for w in channel_map.weights
        if w.layer.name == layer and w.attribute == attribute
    ]
    assert [None if u is None else len(u) for u in weight.units] == [
        None if u is None else size
        for u, size in zip(weight.units, weight.full_shape)
    ]
    return [None if u is None else u.tolist() for u in weight.units]


def test_a_chain_has_one_group_a_layer():
    inputs = keras.Input((6, 6, 2))
    x = kgp.GrowableConv2D(3, 3, name="a")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU()(x)
    x = kgp.GrowableConv2D(2, 3, name="b")(x)
    found = trace(inputs, layers.Dense(4, name="head")(x))
    assert groups(found) == {"a": (3, ["a"]), "b": (2, ["b"])}
    assert found.unit_count == 5
    # Unit 5 stands for a channel that always exists.
    assert units(found, "a") == [None, None, [5, 5], [0, 1, 2]]
    assert units(found, "b") == [None, None, [0, 1, 2], [3, 4]]
    assert units(found, "head") == [[3, 4], [5, 5, 5, 5]]
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        assert units(found, "norm", name) == [[0, 1, 2]]
    assert found.frozen == {} and found.gates == []


def test_layers_of_a_residual_stream_are_one_group():
    inputs = keras.Input((6, 6, 2))
    x = kgp.GrowableConv2D(4, 1, name="stem")(inputs)
    y = kgp.GrowableConv2D(6, 1, name="inner")(x)
    y = kgp.GrowableConv2D(4, 1, name="outer")(y)
    x = layers.Add()([x, y])
    z = kgp.GrowableConv2D(4, 1, name="next")(x)
    x = kgp.GatedAdd(name="sum")([x, z])
    found = trace(inputs, layers.Conv2D(3, 1)(x))
    assert groups(found) == {
        "stem": (4, ["stem", "outer", "next"]),
        "inner": (6, ["inner"]),
    }
    assert [gate.name for gate in found.gates] == ["sum"]
    assert units(found, "outer") == [None, None, [*range(4, 10)], [0, 1, 2, 3]]


def test_stages_of_a_residual_network_do_not_depend_on_each_other():
    inputs = keras.Input((6, 6, 2))
    x = kgp.GrowableConv2D(4, 1, name="stem")(inputs)
    y = kgp.GrowableConv2D(8, 1, strides=2, name="branch")(x)
    x = kgp.GrowableConv2D(8, 1, strides=2, name="shortcut")(x)
    found = trace(inputs, layers.Conv2D(3, 1)(layers.Add()([x, y])))
    found = groups(found)
    assert found["stem"] == (4, ["stem"])
    assert sorted(found["branch" if "branch" in found else "shortcut"][1]) == [
        "branch",
        "shortcut",
    ]
    assert len(found) == 2


def test_a_depthwise_convolution_repeats_each_channel():
    inputs = keras.Input((6, 6, 2))
    x = kgp.GrowableConv2D(2, 1)(inputs)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    found = trace(inputs, layers.Conv2D(3, 1, name="head")(x))
    assert units(found, "depthwise") == [None, None, [0, 1], None]
    assert units(found, "depthwise", "bias") == [[0, 0, 1, 1]]
    assert units(found, "head")[2] == [0, 0, 1, 1]


def test_flatten_has_positions_times_channels():
    inputs = keras.Input((2, 2, 3))
    x = kgp.GrowableConv2D(3, 1)(inputs)
    x = layers.Flatten()(x)
    found = trace(inputs, layers.Dense(1, name="head")(x))
    assert units(found, "head") == [[0, 1, 2] * 4, [3]]


def test_flatten_of_channels_first_moves_the_channels_last():
    inputs = keras.Input((3, 2, 2))
    x = kgp.GrowableConv2D(3, 1, data_format="channels_first")(inputs)
    x = layers.Flatten(data_format="channels_first")(x)
    found = trace(inputs, layers.Dense(1, name="head")(x))
    assert units(found, "head") == [[0, 1, 2] * 4, [3]]


def test_flatten_of_an_unknown_size_freezes_with_a_reason():
    inputs = keras.Input((None, 3))
    x = kgp.GrowableDense(2, name="a")(inputs)
    x = layers.Flatten(name="flat")(x)
    found = trace(inputs, keras.ops.sum(x, axis=1))
    assert "`flat` flattens an input of unknown size" in found.frozen["a"]


@pytest.mark.parametrize(
    "pooling", [layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D]
)
@pytest.mark.parametrize("keepdims", [False, True])
def test_global_pooling_keeps_the_channels(pooling, keepdims):
    inputs = keras.Input((4, 4, 2))
    x = kgp.GrowableConv2D(3, 1)(inputs)
    x = pooling(keepdims=keepdims)(x)
    found = trace(inputs, layers.Dense(1, name="head")(x))
    assert units(found, "head") == [[0, 1, 2], [3]]


@pytest.mark.parametrize(
    "layer",
    [
        layers.Activation("gelu"),
        layers.LeakyReLU(),
        layers.Dropout(0.1),
        layers.MaxPooling2D(),
        layers.AveragePooling2D(2),
        layers.ZeroPadding2D(),
        layers.UpSampling2D(),
        layers.LayerNormalization(),
        layers.BatchNormalization(scale=False),
    ],
)
def test_channels_pass_through(layer):
    inputs = keras.Input((4, 4, 2))
    x = layer(kgp.GrowableConv2D(3, 1)(inputs))
    found = trace(inputs, layers.Conv2D(1, 1, name="head")(x))
    assert found.frozen == {}
    assert units(found, "head")[2] == [0, 1, 2]


@pytest.mark.parametrize(
    "layer",
    [
        layers.GroupNormalization(1, name="odd"),
        layers.Permute((2, 1, 3), name="odd"),
        layers.Conv2DTranspose(3, 1, name="odd"),
        layers.Conv2D(3, 1, groups=3, name="odd"),
        layers.BatchNormalization(axis=1, name="odd"),
        layers.LayerNormalization(axis=(1, 2, 3), name="odd"),
        layers.Lambda(lambda x: x + 1.0, name="odd"),
    ],
)
def test_what_it_does_not_understand_freezes_with_a_reason(layer):
    inputs = keras.Input((3, 3, 2))
    x = kgp.GrowableConv2D(3, 1, name="a")(inputs)
    x = kgp.GrowableConv2D(2, 1, name="b")(layer(x))
    found = trace(inputs, layers.Conv2D(1, 1)(x))
    assert list(found.frozen) == ["a"]
    assert "layer `odd`" in found.frozen["a"]
    assert groups(found) == {"b": (2, ["b"])}


def test_an_operation_freezes_with_a_hint():
    inputs = keras.Input((3, 3, 2))
    x = kgp.GrowableConv2D(3, 1, name="a")(inputs) * 2.0
    found = trace(inputs, layers.Conv2D(1, 1)(x))
    assert "type Multiply: see `register_axes`" in found.frozen["a"]


def test_concatenation_freezes_both_sides():
    inputs = keras.Input((3, 3, 2))
    a = kgp.GrowableConv2D(3, 1, name="a")(inputs)
    b = kgp.GrowableConv2D(2, 1, name="b")(inputs)
    x = layers.Concatenate(name="cat")([a, b])
    found = trace(inputs, layers.Conv2D(1, 1, name="head")(x))
    assert sorted(found.frozen) == ["a", "b"]
    assert all("`cat`" in reason for reason in found.frozen.values())
    assert found.groups == [] and found.unit_count == 0
    assert units(found, "head")[2] == [0] * 5


def test_a_growable_output_is_frozen():
    inputs = keras.Input((4,))
    x = kgp.GrowableDense(3, name="hidden")(inputs)
    outputs = kgp.GrowableDense(2, name="output")(x)
    found = trace(inputs, outputs)
    assert found.frozen == {"output": "feeds an output of the model"}
    assert groups(found) == {"hidden": (3, ["hidden"])}


def test_a_sum_with_channels_that_cannot_change_is_frozen():
    inputs = keras.Input((4, 4, 3))
    x = kgp.GrowableConv2D(3, 1, name="a")(inputs)
    y = kgp.GrowableConv2D(3, 1, name="b")(layers.Add(name="sum")([inputs, x]))
    z = layers.Conv2D(3, 1)(inputs)
    found = trace(inputs, layers.Conv2D(1, 1)(layers.Add()([z, y])))
    assert found.groups == []
    assert "layer `sum` joins it" in found.frozen["a"]
    assert found.frozen["b"] == "is summed with channels that cannot change"


def test_a_sum_of_unequal_shapes_is_frozen():
    inputs = keras.Input((4, 4, 3))
    a = kgp.GrowableConv2D(3, 1, name="a")(inputs)
    b = kgp.GrowableConv2D(3, 4, name="b")(inputs)
    found = trace(inputs, layers.Conv2D(1, 1)(layers.Add()([a, b])))
    assert sorted(found.frozen) == ["a", "b"]


def test_a_layer_called_twice_has_its_units_once():
    inputs = keras.Input((4,))
    shared = kgp.GrowableDense(4, name="shared")
    x = shared(shared(kgp.GrowableDense(4, name="first")(inputs)))
    found = trace(inputs, layers.Dense(1)(x))
    # What it reads is either its own output or the first layer's.
    ((size, writers),) = groups(found).values()
    assert size == 4 and sorted(writers) == ["first", "shared"]
    assert units(found, "shared") == [[0, 1, 2, 3], [0, 1, 2, 3]]


def test_the_largest_seed_of_the_writers_counts():
    inputs = keras.Input((4,))
    a = kgp.GrowableDense(4, seed_units=1)(inputs)
    b = kgp.GrowableDense(4, seed_units=3)(inputs)
    c = kgp.GrowableDense(5)(layers.Add()([a, b]))
    found = trace(inputs, layers.Dense(1)(c))
    assert [group.seed for group in found.groups] == [3, None]


def test_a_branch_that_is_off_is_not_called():
    inputs = keras.Input((4,))
    x = kgp.GrowableDense(4, name="a")(inputs)
    y = kgp.GrowableDense(5, name="b")(x)
    y = kgp.GrowableDense(4, name="c")(y)
    x = kgp.GatedAdd(name="sum")([x, y])
    found = trace(inputs, layers.Dense(1, name="head")(x))

    def called(gate):
        present = found.present_layers(np.array([gate]))
        names = [layer.name for layer in found.layers]
        return {n for n, p in zip(names, present) if p} - {inputs.name}

    assert called(False) >= {"a", "sum", "head"}
    assert called(True) - called(False) == {"b", "c"}


def test_a_gate_in_a_branch_leaves_with_it():
    inputs = keras.Input((4,))
    x = kgp.GrowableDense(4)(inputs)
    y = kgp.GrowableDense(4)(x)
    z = kgp.GrowableDense(4, name="deep")(y)
    y = kgp.GatedAdd(name="inner")([y, z])
    x = kgp.GatedAdd(name="outer")([x, y])
    found = trace(inputs, layers.Dense(1)(x))
    names = [gate.name for gate in found.gates]
    gates = np.array([name == "inner" for name in names])
    present = found.present_layers(gates)
    absent = [la.name for la, p in zip(found.layers, present) if not p]
    assert {"deep", "inner"} <= set(absent)


def test_channels_of_a_layer_norm_are_never_fewer_than_two():
    inputs = keras.Input((5,))
    x = kgp.GrowableDense(6, name="alone")(inputs)
    x = kgp.GrowableDense(4, name="normed")(x)
    x = layers.LayerNormalization()(x)
    x = kgp.GrowableDense(1, name="single")(x)
    x = layers.LayerNormalization()(x)
    found = trace(inputs, layers.Dense(2)(x))
    assert [group.name for group in found.groups] == [
        "alone",
        "normed",
        "single",
    ]
    assert found.least_widths().tolist() == [1, 2, 1]

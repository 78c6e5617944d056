import keras
import numpy as np
import pytest
from keras import ops

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
        layers.Conv2DTranspose(3, 1, name="odd"),
        layers.SeparableConv2D(3, 1, name="odd"),
    ],
)
def test_a_plain_layer_ends_one_group_and_begins_none(layer):
    inputs = keras.Input((3, 3, 2))
    x = kgp.GrowableConv2D(3, 1, name="a")(inputs)
    x = kgp.GrowableConv2D(2, 1, name="b")(layer(x))
    found = trace(inputs, layers.Conv2D(1, 1)(x))
    assert groups(found) == {"a": (3, ["a"]), "b": (2, ["b"])}


@pytest.mark.parametrize(
    "layer",
    [
        layers.LayerNormalization(axis=(-1, 1), name="odd"),
        layers.Normalization(mean=[1, 2, 3], variance=[1] * 3, name="odd"),
        layers.Rescaling([1.0, 2.0, 3.0], name="odd"),
        layers.Lambda(lambda x: x + 1.0, name="odd"),
    ],
)
def test_what_it_does_not_understand_freezes_with_a_reason(layer):
    inputs = keras.Input((3, 3, 2))
    x = kgp.GrowableConv2D(3, 1, name="a")(inputs)
    x = kgp.GrowableConv2D(2, 1, name="b")(layer(x))
    found = trace(inputs, layers.Conv2D(1, 1)(x))
    assert list(found.frozen) == ["a"]
    assert "`odd`" in found.frozen["a"]
    assert groups(found) == {"b": (2, ["b"])}


@pytest.mark.parametrize(
    "odd",
    [
        lambda x: x[..., :2],
        lambda x: x[:, :, :, 0],
        lambda x: x[..., ::2],
        lambda x: ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1))),
        lambda x: ops.reshape(x, (-1, 3, 3, 3, 1))[:, ..., 0, :],
        lambda x: x[..., :1] * np.ones(3, "float32"),
        lambda x: x * keras.Variable(np.ones(3, "float32")),
        lambda x: ops.reshape(ops.reshape(x, (-1, 3, 9)), (-1, 3, 3, 3)),
        lambda x: ops.squeeze(x[:, :1, :1]),
        lambda x: layers.MaxPooling2D(1, data_format="channels_first")(x),
        lambda x: ops.cumsum(x, axis=1),
        lambda x: ops.concatenate([x, ops.transpose(x, (0, 3, 1, 2))], axis=1),
    ],
)
def test_operations_that_pick_channels_freeze_with_a_reason(odd):
    inputs = keras.Input((3, 3, 2))
    x = odd(kgp.GrowableConv2D(3, 1, name="a")(inputs))
    found = trace(inputs, layers.Dense(1)(layers.Flatten()(x)))
    assert found.groups == [] and list(found.frozen) == ["a"]
    assert "`" in found.frozen["a"]


def test_an_unknown_operation_freezes_with_a_hint():
    inputs = keras.Input((3, 3, 2))
    x = kgp.GrowableConv2D(3, 1, name="a")(inputs)
    found = trace(inputs, layers.Conv2D(1, 1)(ops.cumsum(x, axis=1)))
    assert "of type Cumsum: teach it with" in found.frozen["a"]


@pytest.mark.parametrize(
    "norm, attribute, expected",
    [
        (layers.BatchNormalization(axis=1), "gamma", [None]),
        (layers.GroupNormalization(3, axis=2), "beta", [None]),
        (layers.LayerNormalization(axis=[1, 2]), "gamma", [None, None]),
        (layers.LayerNormalization(axis=(1, 3)), "beta", [None, [0, 1, 2]]),
        (
            layers.LayerNormalization(axis=[1, 2, 3]),
            "gamma",
            [None, None, [0, 1, 2]],
        ),
    ],
)
def test_weights_of_a_norm_follow_the_axes_that_it_names(
    norm, attribute, expected
):
    inputs = keras.Input((5, 3, 2))
    x = kgp.GrowableConv2D(3, 1, name="a")(inputs)
    norm.name = "norm"
    found = trace(inputs, layers.Conv2D(1, 1, name="head")(norm(x)))
    assert groups(found) == {"a": (3, ["a"])}
    assert units(found, "norm", attribute) == expected
    assert units(found, "head")[2] == [0, 1, 2]


def test_a_norm_over_one_channel_and_many_positions_says_something():
    inputs = keras.Input((5, 2))
    for axis, least in ((-1, 2), ((1, 2), 1), (1, 1)):
        x = kgp.GrowableDense(4)(inputs)
        x = layers.LayerNormalization(axis=axis)(x)
        assert trace(inputs, layers.Dense(1)(x)).least_widths() == [least]


@pytest.mark.parametrize("shape", [(4,), (3, 4), (1, 3, 4)])
def test_a_constant_has_slices(shape):
    value = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    inputs = keras.Input((3, 2))
    x = kgp.GrowableDense(4, name="a")(inputs)
    found = trace(inputs, layers.Dense(1)(x + value))
    (constant,) = found.constants
    assert constant.value is value and constant.axis == len(shape) - 1
    assert constant.units.tolist() == [0, 1, 2, 3]
    part = constant.part(np.array([True, False, True, True]))
    np.testing.assert_array_equal(part, value[..., [0, 2, 3]])


def test_constants_that_channels_share_have_no_slices():
    inputs = keras.Input((3, 2))
    x = kgp.GrowableDense(4, name="a")(inputs)
    x = ops.add(x * np.ones((3, 1)) + 2.0, np.float32(1))
    fixed = layers.Dense(3)(x) + np.ones(3)
    found = trace(inputs, layers.Dense(1)(fixed))
    assert found.constants == [] and found.frozen == {}


def test_constants_side_by_side_with_channels_are_always_there():
    inputs = keras.Input((3, 2))
    x = kgp.GrowableDense(2, name="a")(inputs)
    x = ops.concatenate([np.ones((1, 3, 2), "float32"), x], axis=-1)
    found = trace(inputs, layers.Dense(1, name="head")(x))
    assert units(found, "head")[0] == [2, 2, 0, 1]


def test_concatenation_puts_units_side_by_side():
    inputs = keras.Input((3, 3, 2))
    a = kgp.GrowableConv2D(3, 1, name="a")(inputs)
    b = kgp.GrowableConv2D(2, 1, name="b")(inputs)
    x = layers.Concatenate()([a, inputs, b])
    found = trace(inputs, layers.Conv2D(1, 1, name="head")(x))
    assert groups(found) == {"a": (3, ["a"]), "b": (2, ["b"])}
    assert units(found, "head")[2] == [0, 1, 2, 5, 5, 3, 4]


def test_concatenation_of_positions_unites():
    inputs = keras.Input((3, 3, 2))
    a = kgp.GrowableConv2D(3, 1, name="a")(inputs)
    b = kgp.GrowableConv2D(3, 1, name="b")(inputs)
    x = layers.Concatenate(axis=1)([a, b])
    found = trace(inputs, layers.Conv2D(1, 1, name="head")(x))
    assert groups(found) == {"a": (3, ["a", "b"])}


def test_broadcasting_goes_from_the_right():
    inputs = keras.Input((3, 3, 2))
    x = kgp.GrowableConv2D(3, 1, name="x")(inputs)
    s = kgp.GrowableDense(3, name="s")(layers.GlobalAveragePooling2D()(x))
    mask = kgp.GrowableConv2D(1, 1, name="mask")(x)
    x = x * s[:, None, None] * mask
    found = trace(inputs, layers.Conv2D(1, 1, name="head")(x))
    assert groups(found) == {"x": (3, ["x", "s"])}
    assert "for all channels" in found.frozen["mask"]


def test_parts_of_a_grouped_convolution_have_one_width():
    inputs = keras.Input((3, 3, 2))
    x = kgp.GrowableConv2D(6, 1, name="a")(inputs)
    x = kgp.GrowableConv2D(4, 3, groups=2, name="b")(x)
    found = trace(inputs, layers.Conv2D(1, 1, name="head")(x))
    assert groups(found) == {"a": (3, ["a"]), "b": (2, ["b"])}
    assert units(found, "a")[3] == [0, 1, 2, 0, 1, 2]
    assert units(found, "b") == [None, None, [0, 1, 2], [3, 4, 3, 4]]
    assert found.multiples(8).tolist() == [4, 4]
    assert found.multiples(1).tolist() == [1, 1]


def test_a_convolution_in_parts_of_one_channel_follows():
    inputs = keras.Input((3, 3, 2))
    x = kgp.GrowableConv2D(3, 1, name="a")(inputs)
    x = layers.Conv2D(6, 3, groups=3, name="b")(x)
    found = trace(inputs, layers.Conv2D(1, 1, name="head")(x))
    assert units(found, "b") == [None, None, [3], [0, 0, 1, 1, 2, 2]]
    told = {(a.layer.name, a.name): a for a in found.attributes}
    units_now = np.array([True, False, True])
    assert told["b", "filters"].value(units_now) == 4
    assert told["b", "groups"].value(units_now) == 2


def test_separable_convolutions_have_channels_in_between():
    inputs = keras.Input((3, 3, 2))
    x = kgp.GrowableConv2D(2, 1, name="a")(inputs)
    x = kgp.GrowableSeparableConv2D(3, 1, depth_multiplier=2, name="b")(x)
    found = trace(inputs, layers.Conv2D(1, 1)(x))
    assert units(found, "b", "depthwise_kernel") == [None, None, [0, 1], None]
    assert units(found, "b", "pointwise_kernel") == [
        None,
        None,
        [0, 0, 1, 1],
        [2, 3, 4],
    ]


def test_transposed_convolutions_have_their_axes_swapped():
    inputs = keras.Input((3, 3, 2))
    x = kgp.GrowableConv2DTranspose(3, 2, name="a")(inputs)
    found = trace(inputs, layers.Conv2D(1, 1)(x))
    assert units(found, "a") == [None, None, [0, 1, 2], [3, 3]]


@pytest.mark.parametrize(
    "move, place, behind",
    [
        (lambda x: ops.transpose(x, (0, 3, 1, 2)), 1, [0, 1, 2]),
        (lambda x: ops.swapaxes(x, 1, 3), 1, [0, 1, 2]),
        (lambda x: ops.moveaxis(x, -1, 2), 2, [0, 1, 2]),
        (lambda x: layers.Permute((3, 1, 2))(x), 1, [0, 1, 2]),
        (lambda x: ops.expand_dims(x, 1), 4, [0, 1, 2]),
        (lambda x: x[:, 0, None, ..., :], 3, [0, 1, 2]),
        (lambda x: x[:, 1:, 0], 2, [0, 1, 2]),
        (lambda x: ops.mean(x, axis=(1, 2)), 1, [0, 1, 2]),
        (lambda x: ops.sum(x, axis=1, keepdims=True), 3, [0, 1, 2]),
        (lambda x: layers.Reshape((2, 6))(x), 2, [0, 1, 2] * 2),
        (lambda x: layers.Reshape((4, 3, 1))(x), 2, [0, 1, 2]),
        (lambda x: layers.Reshape((-1, 3))(x), 2, [0, 1, 2]),
        (lambda x: ops.reshape(x, (-1, 3)), 1, [0, 1, 2]),
        (
            lambda x: ops.reshape(ops.swapaxes(x, 2, 3), (-1, 2, 6)),
            2,
            [0, 0, 1, 1, 2, 2],
        ),
    ],
)
def test_axes_around_the_channels_move(move, place, behind):
    inputs = keras.Input((2, 2, 2))
    x = move(kgp.GrowableConv2D(3, 1, name="a")(inputs))
    outputs = layers.Activation("linear")(x)
    calls = graph_calls(keras.Model(inputs, outputs))
    found = trace_channels(calls, [])  # an output would freeze its channels
    channels = found.channels[id(x)]
    assert (channels.axis, channels.units.tolist()) == (place, behind)


def test_a_split_has_the_units_of_its_parts():
    inputs = keras.Input((3, 3, 2))
    x = kgp.GrowableConv2D(6, 1, name="a")(inputs)
    one, two, three = ops.split(x, [1, 4], axis=-1)
    x = kgp.GrowableConv2D(3, 1, name="b")(one) + two
    x = layers.Concatenate()([x, three])
    found = trace(inputs, layers.Conv2D(1, 1, name="head")(x))
    assert groups(found) == {
        "a": (1, ["a"]),
        "a#2": (3, ["a", "b"]),
        "a#3": (2, ["a"]),
    }
    (split,) = [a for a in found.attributes if a.name != "filters"]
    active = np.array([True, True, False, True, False, True])
    assert split.value(active) == (1, 3)


def test_no_part_of_a_split_loses_all_of_its_channels():
    inputs = keras.Input((4,))
    a, b = ops.split(kgp.GrowableDense(6, name="a")(inputs), 2, axis=-1)
    x = ops.max(a, axis=-1, keepdims=True) + ops.max(b, axis=-1, keepdims=True)
    found = trace(inputs, layers.Dense(1)(x))
    assert groups(found) == {"a": (3, ["a"]), "a#2": (3, ["a"])}


def test_attention_is_as_wide_as_its_queries():
    inputs = keras.Input((5, 2))
    x = kgp.GrowableDense(4, name="a")(inputs)
    memory = kgp.GrowableDense(3, name="b")(inputs)
    attention = layers.MultiHeadAttention(2, 3, name="heads")
    found = trace(inputs, layers.Dense(1)(attention(x, memory)))
    assert groups(found) == {"a": (4, ["a"]), "b": (3, ["b"])}
    assert units(found, "heads", "query_dense.kernel")[0] == [0, 1, 2, 3]
    assert units(found, "heads", "value_dense.kernel")[0] == [4, 5, 6]
    assert units(found, "heads", "output_dense.kernel")[2] == [0, 1, 2, 3]


def test_a_layer_for_each_time_step_is_traced_inside():
    inputs = keras.Input((5, 4, 4, 2))
    inner = kgp.GrowableConv2D(3, 1, name="inner")
    x = layers.TimeDistributed(inner)(inputs)
    x = layers.TimeDistributed(layers.GlobalAveragePooling2D())(x)
    found = trace(inputs, layers.Dense(1, name="head")(x))
    assert groups(found) == {"inner": (3, ["inner"])}
    assert units(found, "head") == [[0, 1, 2], [3]]


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
    assert "`sum` joins it" in found.frozen["a"]
    assert found.frozen["b"] == "is summed with channels that cannot change"


def test_a_sum_of_broadcast_positions_unites():
    inputs = keras.Input((4, 4, 3))
    a = kgp.GrowableConv2D(3, 1, name="a")(inputs)
    b = kgp.GrowableConv2D(3, 4, name="b")(inputs)
    found = trace(inputs, layers.Conv2D(1, 1)(layers.Add()([a, b])))
    assert groups(found) == {"a": (3, ["a", "b"])}


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

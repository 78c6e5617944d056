import keras
import numpy as np
import pytest

from keras_growprune import Budget
from keras_growprune import GrowPruneModel
from keras_growprune import Structure
from keras_growprune import layers as kgp
from keras_growprune import register_axes
from keras_growprune.keras_internals import graph_calls
from keras_growprune.structure import axes_of
from keras_growprune.structure import is_growable
from keras_growprune.structure import trace_channels


class Scale(keras.layers.Layer):
    """A factor per channel; starts at 1, 2, 3, ..."""

    def build(self, input_shape):
        size = input_shape[-1]
        self.factor = self.add_weight(
            shape=(size,),
            initializer=lambda shape, dtype=None: np.arange(1.0, size + 1),
        )

    def call(self, inputs):
        return inputs * self.factor


class Mixer(keras.layers.Layer):
    """A dense layer that keeps no initializer of its own."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units))

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.kernel)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def trace(outputs, inputs):
    model = keras.Model(inputs, outputs)
    return trace_channels(graph_calls(model), model.outputs)


def test_a_layer_with_an_in_axis_mixes_and_one_without_follows():
    class Mixes(keras.layers.Layer):
        pass

    class Follows(keras.layers.Layer):
        pass

    register_axes(Mixes, kernel=("in", "out"), bias=("out",))
    register_axes(Follows, factor=("out",))
    assert axes_of(Mixes()).channels == "mix"
    assert axes_of(Mixes()).multiplies == ("kernel",)
    assert axes_of(Follows()).channels == "follow"
    assert axes_of(Follows()).multiplies == ()


def test_subclasses_are_covered_unless_registered_themselves():
    class Narrow(keras.layers.Conv2D):
        pass

    class Other(Narrow):
        pass

    assert axes_of(Narrow(1, 1)) is axes_of(keras.layers.Conv2D(1, 1))
    register_axes(Other, channels="follow")
    assert axes_of(Other(1, 1)).channels == "follow"
    assert axes_of(Narrow(1, 1)).channels == "mix"


def test_unknown_layers_and_operations_are_not_in_the_table():
    class Odd(keras.layers.Layer):
        pass

    class Strange(keras.Operation):
        pass

    assert axes_of(Odd()) is None
    assert axes_of(Strange()) is None


def test_only_growable_layers_are_growable():
    assert is_growable(kgp.GrowableConv2D(2, 1))
    assert is_growable(kgp.GrowableDense(2))
    assert not is_growable(keras.layers.Conv2D(2, 1))
    assert not is_growable(kgp.GatedAdd())


def test_initializers_are_found_by_name_or_as_registered():
    dense = keras.layers.Dense(2)
    known = axes_of(dense)
    assert known.initializer(dense, "kernel") is dense.kernel_initializer
    assert known.initializer(dense, "bias") is dense.bias_initializer
    layer = keras.layers.DepthwiseConv2D(2)
    found = axes_of(layer).initializer(layer, "kernel")
    assert found is layer.depthwise_initializer
    assert known.initializer(dense, "other") is None


def test_a_custom_layer_follows_its_input():
    register_axes(Scale, factor=("out",))
    inputs = keras.Input((5,))
    x = Scale(name="scale")(kgp.GrowableDense(4)(inputs))
    channel_map = trace(keras.layers.Dense(2)(x), inputs)
    assert channel_map.frozen == {}
    (weight,) = [w for w in channel_map.weights if w.layer.name == "scale"]
    assert weight.attribute == "factor"
    assert weight.units[0].tolist() == [0, 1, 2, 3]


def test_a_custom_layer_is_resized_with_its_input():
    register_axes(Scale, factor=("out",))
    inputs = keras.Input((5,))
    scale = Scale()
    x = scale(kgp.GrowableDense(4)(inputs))
    outputs = keras.layers.Dense(2)(x)
    model = GrowPruneModel(inputs, outputs, Budget(params=0.9), seed=0)
    units = np.array([False, True, False, True])
    model.restructure(Structure(units, np.zeros(0, bool)))
    assert np.array(scale.factor).tolist() == [2.0, 4.0]
    x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    expected = model(x)
    small = model.compact()
    np.testing.assert_allclose(small(x), expected, atol=1e-6)


def test_a_custom_kernel_without_an_initializer_is_not_lost():
    register_axes(Mixer, kernel=("in", "out"))
    inputs = keras.Input((5,))
    x = kgp.GrowableDense(4, seed_units=4)(inputs)
    mixer = Mixer(3)
    outputs = mixer(x)
    before = np.array(mixer.kernel)
    GrowPruneModel(inputs, outputs, Budget(params=0.9), seed=0)
    assert mixer.kernel.shape == (4, 3)
    assert before.any()
    assert np.array(mixer.kernel).any()


def test_an_instance_instead_of_a_class_is_refused():
    with pytest.raises(TypeError, match="a layer class.*Pass the class"):
        register_axes(keras.layers.Dense(2), kernel=("in", "out"))


@pytest.mark.parametrize("labels", [("in", "outs"), ("out", 1), "out"])
def test_an_unknown_label_is_refused(labels):
    with pytest.raises(ValueError, match="`kernel` must be labelled"):
        register_axes(Mixer, kernel=labels)


def test_an_unknown_way_with_channels_is_refused():
    class Strange(keras.layers.Layer):
        pass

    with pytest.raises(ValueError, match="`channels`.*'sideways'"):
        register_axes(Strange, channels="sideways", factor=("out",))


def test_a_weight_with_three_channel_axes_has_no_cost():
    class Cube(keras.layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(input_shape[-1], 2, 2))

        def call(self, inputs):
            return keras.ops.matmul(inputs, self.kernel[:, 0])

    register_axes(Cube, kernel=("in", "out", "out"))
    inputs = keras.Input((5,))
    x = Cube(name="cube")(kgp.GrowableDense(4)(inputs))
    with pytest.raises(ValueError, match="`kernel` of layer `cube`.*two axes"):
        GrowPruneModel(inputs, x, Budget(params=0.5))

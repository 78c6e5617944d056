import keras
import numpy as np
import pytest

from keras_growprune import Budget
from keras_growprune import GrowPruneModel
from keras_growprune import Structure
from keras_growprune import layers as kgp
from keras_growprune.cost import FlopsCost
from keras_growprune.keras_internals import graph_calls
from keras_growprune.models import resnet
from keras_growprune.structure import register_axes
from keras_growprune.structure import trace_channels

layers = keras.layers


def flops_of(inputs, outputs):
    model = keras.Model(inputs, outputs)
    return FlopsCost(trace_channels(graph_calls(model), model.outputs))


def count(model):
    """Multiply-adds of a plain model, counted without the library."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
            total += np.prod(layer.output.shape[1:3]) * np.prod(
                layer.kernel.shape
            )
        elif isinstance(layer, layers.Dense):
            total += np.prod(layer.output.shape[1:-1]) * np.prod(
                layer.kernel.shape
            )
    return float(total)


def mixed_network():
    """Residual, depthwise, flatten and dense in one network."""
    x = inputs = keras.Input((6, 6, 2))
    x = kgp.GrowableConv2D(5, 3, padding="same")(x)
    y = kgp.GrowableConv2D(4, 3, padding="same", activation="relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(y)
    y = kgp.GrowableConv2D(5, 1, use_bias=False)(y)
    y = layers.BatchNormalization()(y)
    x = kgp.GatedAdd()([x, y])
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = kgp.GrowableDense(7, activation="relu")(x)
    return inputs, layers.Dense(3)(x)


@pytest.mark.parametrize(
    "depth, published",
    # He et al. with identity shortcuts: 40.6, 68.9, 125.5 million.
    [(20, 40.55e6), (32, 68.86e6), (56, 125.49e6)],
)
def test_resnet_has_the_published_multiply_adds(depth, published):
    # The two 1 x 1 shortcuts come on top.
    shortcuts = 16 * 32 * 16 * 16 + 32 * 64 * 8 * 8
    found = flops_of(*resnet(depth=depth)).full
    assert found == pytest.approx(published + shortcuts, rel=5e-4)


def test_resnet_20_equals_an_independent_count_of_the_plain_network():
    inputs, outputs = resnet(depth=20, growable=False)
    plain = keras.Model(inputs, outputs)
    assert flops_of(*resnet(depth=20)).full == count(plain)


def test_a_convolution_counts_positions_times_kernel():
    inputs = keras.Input((9, 7, 3))
    x = kgp.GrowableConv2D(4, (3, 2), strides=2)(inputs)
    outputs = layers.Conv2D(2, 1)(x)
    cost = flops_of(inputs, outputs)
    # Outputs of 4 x 3; then 1 x 1 on each of them.
    assert cost.full == 12 * 3 * 2 * 3 * 4 + 12 * 4 * 2
    assert cost([3], []) == 12 * 3 * 2 * 3 * 3 + 12 * 3 * 2


def test_a_dense_layer_counts_at_every_position():
    inputs = keras.Input((5, 3))
    x = kgp.GrowableDense(4)(inputs)
    cost = flops_of(inputs, layers.Dense(2)(x))
    assert cost.full == 5 * 3 * 4 + 5 * 4 * 2
    assert cost([1], []) == 5 * 3 + 5 * 2


def test_a_depthwise_convolution_counts_each_channel_on_its_own():
    inputs = keras.Input((4, 4, 2))
    x = kgp.GrowableConv2D(3, 1)(inputs)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    cost = flops_of(inputs, layers.Conv2D(5, 1)(x))
    assert cost([2], []) == 16 * 2 * 2 + 16 * 9 * 2 * 2 + 16 * 4 * 5


def test_a_grouped_convolution_counts_its_own_kernel():
    inputs = keras.Input((4, 4, 6))
    x = layers.Conv2D(4, 1, groups=2)(inputs)
    x = kgp.GrowableConv2D(3, 1)(x)
    cost = flops_of(inputs, layers.Conv2D(2, 1)(x))
    assert cost.full == 16 * (3 * 4 + 4 * 3 + 3 * 2)


def test_norms_activations_and_poolings_are_free():
    inputs = keras.Input((4, 4, 2))
    x = kgp.GrowableConv2D(3, 1, use_bias=False)(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    assert flops_of(inputs, layers.Dense(2)(x)).full == 16 * 2 * 3 + 3 * 2


def test_a_shared_layer_counts_each_of_its_calls():
    inputs = keras.Input((4, 4, 3))
    shared = layers.Conv2D(3, 1)
    x = kgp.GrowableConv2D(3, 1)(shared(shared(inputs)))
    cost = flops_of(inputs, layers.Conv2D(2, 1)(x))
    assert cost.full == 16 * (2 * 9 + 9 + 6)


def test_a_layer_that_is_off_costs_nothing():
    inputs = keras.Input((4, 4, 3))
    x = kgp.GrowableConv2D(4, 1)(inputs)
    y = kgp.GrowableConv2D(5, 1)(x)
    y = kgp.GrowableConv2D(4, 1)(y)
    x = kgp.GatedAdd()([x, y])
    cost = flops_of(inputs, layers.Conv2D(2, 1)(x))
    base = 16 * (3 * 4 + 4 * 2)
    assert cost([4, 5], [False]) == base
    assert cost([4, 5], [True]) == base + 16 * 2 * 4 * 5
    # The width of what is out of the network does not matter.
    assert cost([4, 1], [False]) == base


def test_many_structures_are_counted_at_once():
    model = keras.Model(*mixed_network())
    cost = FlopsCost(trace_channels(graph_calls(model), model.outputs))
    random = np.random.default_rng(0)
    sizes = [5, 4, 7]
    widths = np.array([random.integers(1, s + 1, (2, 3)) for s in sizes])
    widths = np.moveaxis(widths, 0, -1)
    gates = random.random((2, 3, 1)) < 0.5
    found = cost(widths, gates)
    assert found.shape == (2, 3)
    for index in np.ndindex(2, 3):
        assert found[index] == cost(widths[index], gates[index])


def test_random_structures_cost_what_their_compact_network_costs():
    model = GrowPruneModel(*mixed_network(), budget=Budget(flops=0.5), seed=0)
    growth, random = model._growth.blueprint, np.random.default_rng(0)
    for trial in range(6):
        units = random.random(16) < 0.5
        units[[0, 5, 9]] = True
        gates = np.array([trial % 2 == 0])
        model.restructure(Structure(units, gates))
        widths = list(model.widths.values())
        assert growth.cost(widths, gates) == count(model.compact())


def test_a_custom_layer_counts_what_it_multiplies():
    class Mixer(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.units = units

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(input_shape[-1], self.units))

        def call(self, inputs):
            return keras.ops.matmul(inputs, self.kernel)

    register_axes(Mixer, kernel=("in", "out"))
    inputs = keras.Input((5,))
    x = kgp.GrowableDense(4)(inputs)
    cost = flops_of(inputs, Mixer(3)(x))
    assert cost([2], []) == 5 * 2 + 2 * 3


def test_an_input_of_unknown_size_is_refused():
    inputs = keras.Input((None, None, 3))
    x = kgp.GrowableConv2D(4, 1, name="stem")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    with pytest.raises(ValueError, match="fixed size.*`stem`.*params"):
        flops_of(inputs, layers.Dense(2)(x))

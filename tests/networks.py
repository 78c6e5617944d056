"""Small growable networks, and what tests do with them."""

import keras
import numpy as np
from keras import layers
from keras.ops import convert_to_numpy as to_numpy

import keras_growprune as kgp
from keras_growprune import keras_internals
from keras_growprune.structure import Structure

FULL = kgp.GrowthSchedule(seed_fraction=1.0, peak=1.0)


def convolution(x, filters, activate=True, norm=True, **kwargs):
    """Growable convolution, batch norm, ReLU."""
    x = kgp.layers.GrowableConv2D(
        filters, 3, padding="same", use_bias=not norm, **kwargs
    )(x)
    if norm:
        x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if activate else x


def head(x, classes=3):
    return layers.Dense(classes)(layers.GlobalAveragePooling2D()(x))


def conv_chain(filters=(4, 6), norm=True, image=(6, 6, 2), **kwargs):
    inputs = x = keras.Input(image)
    for count in filters:
        x = convolution(x, count, norm=norm, **kwargs)
    return inputs, head(x)


def residual(filters=4, blocks=1, inner=None, image=(6, 6, 2)):
    """A stem, then blocks of two convolutions whose branch may vanish."""
    inputs = keras.Input(image)
    x = convolution(inputs, filters)
    for _ in range(blocks):
        y = convolution(x, inner or filters)
        y = convolution(y, filters, activate=False)
        x = layers.ReLU()(kgp.layers.GatedAdd()([x, y]))
    return inputs, head(x)


def dense(units=(8, 6), features=5, norm=None):
    """Dense layers with a `"batch"` norm, a `"layer"` norm or none."""
    inputs = x = keras.Input((features,))
    for count in units:
        x = kgp.layers.GrowableDense(count, use_bias=norm is None)(x)
        if norm == "batch":
            x = layers.BatchNormalization()(x)
        elif norm == "layer":
            x = layers.LayerNormalization()(x)
        x = layers.ReLU()(x)
    return inputs, layers.Dense(3)(x)


def depthwise(filters=4, multiplier=2, image=(6, 6, 2)):
    """Convolution, depthwise convolution, convolution, flatten."""
    inputs = keras.Input(image)
    x = convolution(inputs, filters)
    x = layers.DepthwiseConv2D(
        3, padding="same", depth_multiplier=multiplier, use_bias=False
    )(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = convolution(x, filters + 1, norm=False)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    return inputs, layers.Dense(3)(x)


def plain_chain(filters=4, count=3, image=(6, 6, 2)):
    """A chain of convolutions that the identity may replace, but the first."""
    inputs = keras.Input(image)
    x = convolution(inputs, filters)
    for _ in range(count - 1):
        x = kgp.layers.GatedSkip()([x, convolution(x, filters)])
    return inputs, head(x)


def random_network(seed, layer_norm=True):
    """A network of random kind and widths."""
    random = np.random.default_rng(seed)
    width = int(random.integers(3, 7))
    norms = (None, "batch", "layer") if layer_norm else (None, "batch")
    kinds = [
        lambda: residual(width, blocks=2, inner=int(random.integers(2, 5))),
        lambda: depthwise(width, multiplier=int(random.integers(1, 3))),
        lambda: conv_chain((width, 3, 5), norm=bool(random.integers(2))),
        lambda: dense((width, 7), norm=norms[seed // 5 % len(norms)]),
        lambda: plain_chain(width),
    ]
    return kinds[seed % len(kinds)]()


def grow(network, budget=None, **kwargs):
    """A `GrowPruneModel` with half the FLOPs as its budget."""
    kwargs.setdefault("seed", 0)
    budget = budget or kgp.Budget(flops=0.5)
    return kgp.GrowPruneModel(*network, budget=budget, **kwargs)


def compile_model(model, optimizer="sgd", **kwargs):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **kwargs)
    return model


def examples(model, count=32, seed=0):
    """Random inputs and labels that fit a model of three classes."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, *model.input_shape[1:])).astype("float32")
    return x, random.integers(0, 3, count)


def fit(model, epochs=3, count=32, **kwargs):
    """Trains quietly and in one order; returns the history's dict."""
    x, y = examples(model, count)
    kwargs = {"batch_size": 16, "verbose": 0, "shuffle": False, **kwargs}
    return model.fit(x, y, epochs=epochs, **kwargs).history


def random_structure(model, random, gates=True):
    """At least one unit in each group; gates on or off at random."""
    units = random.random(len(model.structure.units)) < 0.6
    for group in model.groups:
        units[group.start + random.integers(group.size)] = True
    on = random.random(len(model.structure.gates)) < 0.6
    return Structure(units, on if gates else np.ones_like(on))


def with_units(model, *units, gates=None):
    """The structure with the given unit indices of each group."""
    mask = np.zeros(len(model.structure.units), dtype=bool)
    for group, indices in zip(model.groups, units, strict=True):
        mask[group.start + np.array(indices)] = True
    gates = model.structure.gates if gates is None else gates
    return Structure(mask, gates)


def mark_as_lived(model):
    """As if all that there is had been trained for an epoch."""
    state = model._growth.state
    state.ages = np.ones_like(state.ages)
    state.gate_ages = np.ones_like(state.gate_ages)


def build_optimizer(model, optimizer):
    """Compiles; from here on the optimizer's state is carried along."""
    compile_model(model, optimizer)
    model.optimizer.build(model.optimizer_variables())
    model.restructure(model.structure)
    return optimizer


def randomize(model, random):
    """Random values for all weights, statistics and slots on the device."""
    variables = list(model.variables)
    if model.compiled and model.optimizer.built:
        for part in keras_internals.optimizers_in(model.optimizer):
            for slots in keras_internals.optimizer_slots(part).values():
                variables += [slot for slot in slots if slot is not None]
    for variable in variables:
        if "float" in variable.dtype:
            value = random.uniform(0.2, 1.2, tuple(variable.shape))
            sign = -1 if variable.name in ("kernel", "beta") else 1
            value *= np.where(random.random(value.shape) < 0.5, sign, 1)
            variable.assign(value)


def network_arrays(model):
    """Weights and slots at full size, NaN where not in the network.

    Returns:
        Maps `(weight index, None or slot name)` to arrays.
    """
    channel_map = model._growth.blueprint.map
    variables = {
        (i, None): w.variable for i, w in enumerate(channel_map.weights)
    }
    built = model.compiled and model.optimizer.built
    for part in keras_internals.optimizers_in(model.optimizer) if built else ():
        order = keras_internals.optimizer_variables(part)
        position = {id(variable): i for i, variable in enumerate(order)}
        slots = keras_internals.optimizer_slots(part)
        for index, weight in enumerate(channel_map.weights):
            if id(weight.variable) in position:
                for name, each in slots.items():
                    slot = each[position[id(weight.variable)]]
                    if slot is not None and len(slot.shape):
                        variables[index, name] = slot
    present = channel_map.present_layers(model.structure.gates)
    result = {}
    for key, variable in variables.items():
        weight = channel_map.weights[key[0]]
        full = np.full(weight.full_shape, np.nan)
        where = channel_map.indices(weight, model.structure, present)
        full[np.ix_(*where)] = variable.numpy()
        result[key] = full
    return result


def assert_same_bits(first, second):
    """Two lists of arrays (or variables) are bitwise equal."""
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))

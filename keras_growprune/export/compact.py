"""The network as it stands, in plain Keras layers."""

import keras
import numpy as np

from keras_growprune import keras_internals
from keras_growprune.export.recurrent_gates import copy_recurrent_weights
from keras_growprune.export.recurrent_gates import scale_outputs
from keras_growprune.structure import axes_of
from keras_growprune.structure import bidirectional
from keras_growprune.structure import clone_layer
from keras_growprune.structure import copy_weights
from keras_growprune.structure import initializer_of_part
from keras_growprune.structure import is_growable
from keras_growprune.structure import is_reverse
from keras_growprune.structure import recurrent_parts
from keras_growprune.structure.propagation import NORMS


def compact_model(channel_map, structure, inputs, outputs, folds=(), name=None):
    """Builds a plain model that computes what the growing one computes.

    Layers that are out of the network are left out, growable layers become
    the Keras layers that they extend, and gates are folded into the weights
    of the layers on whose output they act.

    Args:
        channel_map: The `ChannelMap` of the growing network.
        structure: Its present `Structure`.
        inputs, outputs: Its input and output tensors, as they were given
            (a tensor, a list or a dict).
        folds: `(factor point, factors)` of the gates that are not 1: one factor
            per channel in the network, or a single one at a branch. Defaults
            to none.
        name: Name of the model. Defaults to `None`: Keras's choice.

    Returns:
        A `keras.Model` that loads without this library.

    Example:

    `model.compact()` calls it with what a growing model knows of itself. Of a
    network with its full widths:

    ```python
    from keras_growprune.keras_internals import graph_calls
    from keras_growprune.structure import trace_channels

    inputs, outputs = kgp.models.resnet((28, 28, 1), depth=8)
    calls = graph_calls(keras.Model(inputs, outputs))
    channel_map = trace_channels(calls, [outputs])
    full = kgp.Structure(
        np.ones(channel_map.unit_count), np.ones(len(channel_map.gates))
    )
    plain = kgp.export.compact_model(channel_map, full, inputs, outputs)
    type(plain.layers[1]) is keras.layers.Conv2D  # True
    ```
    """
    folds = [(point, np.asarray(factors)) for point, factors in folds]
    model, layers = _build(channel_map, structure, inputs, outputs, folds, name)
    for layer in channel_map.layers:
        if id(layer) in layers and isinstance(layer, keras.layers.Layer):
            _copy_weights(layer, layers[id(layer)], folds)
    return model


def untrained_model(channel_map, structure, inputs, outputs):
    """Builds a plain model of any structure, with fresh weights.

    The growing network may have another structure at present.

    Args:
        channel_map: The `ChannelMap` of the growing network.
        structure: The wanted `Structure`.
        inputs, outputs: The input and output tensors of the growing network.

    Returns:
        A `keras.Model` of plain layers.

    Example:

    `model.untrained(structure)` calls it with what a growing model knows of
    itself. Of a network with its full widths:

    ```python
    from keras_growprune.keras_internals import graph_calls
    from keras_growprune.structure import trace_channels

    inputs, outputs = kgp.models.resnet((28, 28, 1), depth=8)
    calls = graph_calls(keras.Model(inputs, outputs))
    channel_map = trace_channels(calls, [outputs])
    half = kgp.Structure(
        np.arange(channel_map.unit_count) % 2, np.ones(len(channel_map.gates))
    )
    plain = kgp.export.untrained_model(channel_map, half, inputs, outputs)
    plain.layers[1].filters  # 8
    ```
    """
    return _build(channel_map, structure, inputs, outputs, (), None)[0]


def _build(channel_map, structure, inputs, outputs, folds, name):
    """A plain model, and its layers by the id of those that they stand for."""
    attributes = {}
    for each in channel_map.attributes:
        values = attributes.setdefault(id(each.layer), {})
        values[each.name] = each.value(structure.units)
    for weight in channel_map.weights:
        values = attributes.setdefault(id(weight.layer), {})
        values.update(_initializer_of_part(channel_map, structure, weight))
    tensors, layers = {}, {}
    for index in channel_map.needed_calls(structure.gates):
        call = channel_map.with_constants(
            channel_map.calls[index],
            lambda constant: constant.part(structure.units),
        )
        operation = call.operation
        if channel_map.gate_is_off(index, structure.gates):
            tensors[id(call.outputs[0])] = tensors[id(call.inputs[0])]
            continue
        if call.node.is_input:
            tensor = call.outputs[0]
            tensors[id(tensor)] = keras_internals.input_like(
                tensor, operation.name
            )
            continue
        args, kwargs = call.fill_in(tensors)
        if hasattr(operation, "call_plain"):
            factors = [
                float(factors[0])
                for point, factors in folds
                if point.kind == "branch" and point.layer is operation
            ]
            pair = keras.tree.flatten((args, kwargs))
            tensors[id(call.outputs[0])] = operation.call_plain(*pair, *factors)
            continue
        if id(operation) not in layers:
            layers[id(operation)] = _plain(operation, folds, attributes)
        produced = layers[id(operation)](*args, **kwargs)
        if recurrent_parts(operation):
            produced = scale_outputs(operation, produced, folds)
        for point, factors in folds:
            is_its = point.layer is call.layer and not is_reverse(call)
            if is_its and _stays_outside(point):
                scale = keras.layers.Rescaling(
                    factors.tolist(), name=f"{operation.name}_gate"
                )
                produced = scale(produced)
        for old, new in zip(call.outputs, keras.tree.flatten(produced)):
            tensors[id(old)] = new
    model = keras.Model(
        keras.tree.map_structure(lambda x: tensors[id(x)], inputs),
        keras.tree.map_structure(lambda x: tensors[id(x)], outputs),
        name=name,
    )
    return model, layers


def _initializer_of_part(channel_map, structure, weight):
    """The entry of a layer's config where the full network's does not do."""
    known = axes_of(weight.layer)
    initializer = known.initializer(weight.layer, weight.attribute)
    name = known.initializer_name(weight.attribute)
    if None in (initializer, name) or "." in weight.attribute:
        return {}
    entries = channel_map.indices(weight, structure)
    part = initializer_of_part(initializer, weight.full_shape, entries)
    if part is initializer:
        return {}
    return {name: part}


def _stays_outside(point):
    """Whether no weight of its layer can take a gate's factors in."""
    if point.kind == "branch" or point.is_foldable():
        return False
    if recurrent_parts(point.layer):
        return False  # see `scale_outputs`
    return not point.may_have_gamma


def _plain(operation, folds, attributes):
    """A plain layer for a layer of the growing network.

    Args:
        operation: The layer, or an operation of `keras.ops`.
        folds: As in `compact_model`.
        attributes: Maps the `id` of a layer to those of its constructor's
            arguments that depend on the structure.
    """
    changes = attributes.get(id(operation), {})
    if not isinstance(operation, keras.layers.Layer):
        return keras_internals.clone_operation(operation, **changes)
    if isinstance(operation, keras.layers.TimeDistributed):
        inner = _plain(operation.layer, folds, attributes)
        return keras.layers.TimeDistributed(inner, name=operation.name)
    if isinstance(operation, keras.layers.Bidirectional):
        return bidirectional(
            operation, lambda part: _plain(part, folds, attributes)
        )
    if is_growable(operation):
        return operation.as_plain_layer(**changes)
    is_norm = axes_of(operation) and axes_of(operation).channels in NORMS
    if is_norm and any(
        point.layer is operation and point.may_have_gamma for point, _ in folds
    ):
        changes = {**changes, "scale": True}  # the gate becomes its gamma
    return clone_layer(operation, **changes)


def _copy_weights(old, new, folds):
    if isinstance(old, keras.layers.TimeDistributed):
        old, new = old.layer, new.layer
    if recurrent_parts(old):
        copy_recurrent_weights(old, new, folds)
        return
    folds = [
        (point, factors)
        for point, factors in folds
        if point.layer is old
        and point.kind != "branch"
        and not _stays_outside(point)
    ]
    if not folds:
        copy_weights(old, new)
        return
    for variable in new.weights:
        source = getattr(old, variable.name, None)
        value = np.ones(variable.shape) if source is None else source.numpy()
        for point, factors in folds:
            if variable.name in axes_of(old).scaled_by:
                value = value * point.along_output(variable.name, factors)
        variable.assign(value)

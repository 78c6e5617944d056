"""The network as it stands, in plain Keras layers."""

import keras
import numpy as np

from keras_growprune.structure import is_growable


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
        folds: `(gate point, factors)` of the gates that are not 1: one factor
            per channel in the network, or a single one at a branch.
        name: Name of the model.

    Returns:
        A `keras.Model` that loads without this library.
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
    """
    return _build(channel_map, structure, inputs, outputs, (), None)[0]


def _build(channel_map, structure, inputs, outputs, folds, name):
    """A plain model, and its layers by the id of those that they stand for."""
    active = np.append(structure.units, True)
    tensors, layers = {}, {}
    for index in channel_map.needed_calls(structure.gates):
        call = channel_map.calls[index]
        operation = call.operation
        if channel_map.gate_is_off(index, structure.gates):
            tensors[id(call.outputs[0])] = tensors[id(call.inputs[0])]
            continue
        if call.node.is_input:
            tensor = call.outputs[0]
            tensors[id(tensor)] = keras.Input(
                batch_shape=tensor.shape,
                dtype=tensor.dtype,
                name=operation.name,
            )
            continue
        args, kwargs = call.node.arguments.fill_in(tensors)
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
            channels = channel_map.channels.get(id(call.outputs[0]))
            width = (
                None
                if channels is None
                else int(np.count_nonzero(active[channels.units]))
            )
            layers[id(operation)] = _plain(operation, folds, width)
        produced = layers[id(operation)](*args, **kwargs)
        for old, new in zip(call.outputs, keras.tree.flatten(produced)):
            tensors[id(old)] = new
    model = keras.Model(
        keras.tree.map_structure(lambda x: tensors[id(x)], inputs),
        keras.tree.map_structure(lambda x: tensors[id(x)], outputs),
        name=name,
    )
    return model, layers


def _plain(operation, folds, width):
    if not isinstance(operation, keras.layers.Layer):
        return operation  # a stateless operation of `keras.ops`
    if is_growable(operation):
        return operation.as_plain_layer(width)
    config = operation.get_config()
    for point, _ in folds:
        if point.layer is operation and "scale" in config:
            config["scale"] = True  # the gate becomes its gamma
    return type(operation).from_config(config)


def _copy_weights(old, new, folds):
    folds = [
        factors
        for point, factors in folds
        if point.layer is old and point.kind != "branch"
    ]
    if not folds:
        new.set_weights(old.get_weights())
        return
    for variable in new.weights:
        source = getattr(old, variable.name, None)
        value = np.ones(variable.shape) if source is None else source.numpy()
        if variable.name in ("gamma", "beta", "kernel", "bias"):
            for factors in folds:
                value = value * factors
        variable.assign(value)

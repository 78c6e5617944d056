"""Layers of sequence models: recurrent layers, embeddings."""

import keras
import numpy as np

_RECURRENT = (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)


def recurrent_parts(layer):
    """The recurrent layers that a layer consists of.

    Args:
        layer: A recurrent layer, or `Bidirectional`.

    Returns:
        List of recurrent layers, empty if it is none of these.
    """
    parts = [layer]
    if isinstance(layer, keras.layers.Bidirectional):
        parts = [layer.forward_layer, layer.backward_layer]
    known = all(isinstance(part, _RECURRENT) for part in parts)
    return parts if known else []


def candidate_columns(columns, units):
    """Columns of a recurrent layer's kernels that its output starts from.

    Where they and their biases are zero, what a step adds to the state is
    `activation(0)`; with a tanh, and from a state of zero, all outputs are.

    Args:
        columns: Number of columns of its kernels.
        units: Number of its units.

    Returns:
        Integer array, one column for each unit.
    """
    place = 2 if columns > units else 0  # Keras's orders: i f c o, and z r h
    return np.arange(place * units, (place + 1) * units)


def recurrent(tracer, call):
    """Recurrent layers: a unit has a column in each block of its gates.

    It also has a row in the layer's own recurrent kernel, which reads what
    the units were one step before.
    """
    layer = call.layer
    parts = recurrent_parts(layer)
    if not parts:
        tracer.freeze(
            call.inputs, f"layer `{layer.name}` has cells of an unknown type"
        )
        return None
    axis = len(call.inputs[0].shape) - 1
    incoming = tracer.incoming(call, axis)
    initial = keras.tree.flatten(call.argument("initial_state", 1))
    states = [state for state in initial if hasattr(state, "shape")]
    count = len(states) // len(parts)
    written = []
    for index, part in enumerate(parts):
        outgoing = tracer.units_of_layer(part, part.units)
        _record(tracer, part, incoming, outgoing)
        own = states[index * count :][:count]
        _tie_states(tracer, call, outgoing, own)
        written.append(outgoing)
    if all(map(tracer.is_fixed, written)):
        return None
    return _outputs(tracer, call, written)


def _record(tracer, layer, incoming, outgoing):
    kernel = layer.cell.kernel
    blocks = np.tile(outgoing, kernel.shape[-1] // layer.units)
    tracer.record_weights(layer, incoming, blocks, only="cell.kernel")
    tracer.record_weights(layer, outgoing, blocks, only="cell.recurrent_kernel")
    if layer.cell.bias is not None:
        # A GRU that resets behind its product has two rows of biases.
        rows = len(layer.cell.bias.shape) - 1
        labels = (*[None] * rows, "out")
        tracer.record_weights(
            layer, None, blocks, only="cell.bias", labels=labels
        )
    tracer.record_weights(layer, None, outgoing, only="states")
    if not tracer.is_fixed(outgoing):
        tracer.record_attribute(layer, "units", outgoing)


def _tie_states(tracer, call, outgoing, states):
    """What a layer starts from has the units of the layer itself."""
    why = f"`{call.layer.name}` takes it as its state"
    for state in states:
        source = tracer.channels(state)
        if source is None or source[0] != len(state.shape) - 1:
            tracer.freeze([state], why)
            tracer.freeze_units(
                outgoing,
                f"layer `{call.layer.name}` starts from a state "
                "whose channels cannot change",
            )
        else:
            tracer.unite(source[1], outgoing, why)


def _outputs(tracer, call, written):
    """`(axis, units)` of each output: sequences or last steps, then states."""
    if len(written) > 1:
        # Keras takes the width of one direction for that of the other.
        tracer.unite(*written, f"`{call.layer.name}` has two directions")
    ends = list(written)
    mode = getattr(call.layer, "merge_mode", None)
    if len(written) > 1 and mode is not None:
        ends = [np.concatenate(written)] if mode == "concat" else written[:1]
    states = (len(call.outputs) - len(ends)) // len(written)
    units = ends + [each for each in written for _ in range(states)]
    return [
        (len(tensor.shape) - 1, each)
        for tensor, each in zip(call.outputs, units)
    ]


def is_reverse(call):
    """Whether a call of an embedding turns vectors back into scores."""
    return hasattr(call.layer, "tie_weights") and bool(
        call.argument("reverse", 1, False)
    )


def embedding(tracer, call):
    """A table of vectors, whose width is a group of units.

    Where the same table also turns vectors back into scores (tied input and
    output embeddings), what it reads there are its own units.
    """
    layer = call.layer
    outgoing = tracer.units_of_layer(layer, layer.output_dim)
    # Of tied embeddings a newcomer's entries are zero: what is read and
    # written at once would change the scores.
    is_tied = getattr(layer, "tie_weights", False)
    labels = (None, "in" if is_tied else "out")
    tracer.record_weights(
        layer, outgoing, outgoing, only="embeddings", labels=labels
    )
    tracer.record_weights(layer, outgoing, None, only="reverse_embeddings")
    if not tracer.is_fixed(outgoing):
        tracer.record_width(call, outgoing)
    if not is_reverse(call):
        return len(call.outputs[0].shape) - 1, outgoing
    incoming = tracer.incoming(call, len(call.inputs[0].shape) - 1)
    why = f"`{layer.name}` is used in both directions"
    if tracer.is_fixed(incoming):
        tracer.freeze_units(outgoing, why)
    else:
        tracer.unite(incoming, outgoing, why)
    return None

"""The layers of a growing network that a picture has rows for."""

import dataclasses

import numpy as np

from keras_growprune.structure import recurrent_parts


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """A layer that makes channels.

    Attributes:
        name: Name of the layer.
        place: Index among the layers of the network, or of that which it is
            a part of.
        full: Its width in the full network.
        units: Units behind its channels; none where its width is fixed.
    """

    name: str
    place: int
    full: int
    units: np.ndarray

    @property
    def is_fixed(self):
        return not len(self.units)


@dataclasses.dataclass(frozen=True)
class Branch:
    """Layers that leave together with a gated layer.

    Attributes:
        name: Name of the gated layer.
        first, last: Indices of rows. `last` is below `first` where no row
            leaves.
        depth: How many branches it is inside of.
    """

    name: str
    first: int
    last: int
    depth: int


class NetworkRows:
    """Rows from the input to the output, and the branches beside them.

    Args:
        model: A `GrowPruneModel`.

    Attributes:
        rows: List of `LayerRow`, in the order of the graph.
        branches: List of `Branch`, in the order of the gates.
        ends: Texts of what goes in and what comes out.
    """

    def __init__(self, model):
        growth = model._growth
        self._map = growth.blueprint.map
        self.rows = sorted(
            [*self._growing(), *self._fixed(model.coupling_report().frozen)],
            key=lambda row: row.place,
        )
        self.branches = self._branches()
        ends = (("input", model.inputs), ("output", model.outputs))
        self.ends = [_text_of_ends(*each) for each in ends]
        share = growth.seed_widths / np.maximum(self._map.sizes, 1)
        # A channel that always exists counts as one.
        share = np.append(np.repeat(share, self._map.sizes), 1.0)
        self._seed = self._counts(share, growth.seed_gates)

    @property
    def full(self):
        """Integer array, the width of each row in the full network."""
        return np.array([row.full for row in self.rows], dtype=int)

    @property
    def seed(self):
        """Integer array, widths in the seed network; 0 where not in it."""
        return self._seed

    def widths(self, structure):
        """Integer array, widths in a structure; 0 where not in it."""
        return self._counts(np.append(structure.units, True), structure.gates)

    def _counts(self, shares, gates):
        present = self._map.present_layers(gates)
        counts = [
            row.full if row.is_fixed else np.sum(shares[row.units])
            for row in self.rows
        ]
        there = [present[row.place] for row in self.rows]
        return np.where(there, np.rint(counts), 0).astype(int)

    def _growing(self):
        found = {}
        for group in self._map.groups:
            for layer in group.writers:
                units = self._map.units_of(layer)
                if not len(units):  # it tells its width by no attribute
                    units = np.arange(group.start, group.start + group.size)
                place = self._map.layer_index(layer)
                found[layer.name] = LayerRow(
                    layer.name, place, len(units), units
                )
        return list(found.values())

    def _fixed(self, names):
        found = {}
        for call in self._map.calls:
            parts = recurrent_parts(call.layer)
            for layer in (call.layer, *parts):
                if layer.name not in names or layer.name in found:
                    continue
                width = getattr(layer, "units", None) if parts else None
                found[layer.name] = LayerRow(
                    layer.name,
                    self._map.layer_index(layer),
                    int(width or self._channels(call)),
                    np.zeros(0, dtype=int),
                )
        return list(found.values())

    def _channels(self, call):
        tensor = call.outputs[0]
        known = self._map.channels.get(id(tensor))
        return tensor.shape[-1 if known is None else known.axis] or 1

    def _branches(self):
        count = len(self._map.gates)
        every = np.ones(count, dtype=bool)
        places = np.array([row.place for row in self.rows])
        spans = []
        for index, gate in enumerate(self._map.gates):
            present = self._map.present_layers(
                every & (np.arange(count) != index)
            )
            rows = np.flatnonzero(~present[places])
            before = np.sum(places < self._map.layer_index(gate.layer))
            first, last = before, before - 1
            if len(rows):
                first, last = rows[0], rows[-1]
            spans.append((int(first), int(last)))
        return [
            Branch(gate.name, *span, depth=_depth(index, spans))
            for index, (gate, span) in enumerate(zip(self._map.gates, spans))
        ]


def _depth(index, spans):
    """How many other spans have this one inside of them."""
    first, last = spans[index]
    return sum(
        start <= first and last <= stop and (start, stop) != (first, last)
        for other, (start, stop) in enumerate(spans)
        if other != index
    )


def _text_of_ends(word, tensors):
    """Such as `input 32 × 32 × 3`, without the batch."""
    if len(tensors) > 1:
        return f"{len(tensors)} {word}s"
    shape = ["any" if s is None else f"{s:,}" for s in tensors[0].shape[1:]]
    return f"{word} {' × '.join(shape)}".strip()

"""What the ledger of a model tells, as arrays over time."""

import itertools

import numpy as np

from keras_growprune.structure import Structure

# Entries of the logs that are no measure of how well the network does.
_OTHERS = {"cost", "flops", "params", "price", "settled", "learning_rate", "lr"}


class GrowthRecord:
    """The run of a trained `GrowPruneModel`.

    Moments are counted in epochs that have been trained: the first one lasts
    from 0 to 1. A period lasts for the share of its epoch's examples.

    Args:
        model: A `GrowPruneModel` with at least one period in its ledger.

    Attributes:
        edges: Array of shape `(periods + 1,)`, when the periods begin, and
            the end of the last one.
        widths: Integer array `(periods, groups)`, units that are computed:
            0 where a group is in no branch that there is.
        gates: Boolean array `(periods, gates)`, likewise.
        costs: Array `(periods,)`, fraction of the full network's cost.
        targets: Array `(periods,)`, what the schedule allows, NaN where the
            ledger does not know.
        begins_as_seed: Whether the first period had the seed network.
        settled_at: When the structure became final, or None.
        metrics: Maps names to `{"training": (moments, values)}`, and
            `"validation"` likewise where there is one.
    """

    def __init__(self, model):
        records = model.ledger.epochs
        self.edges = _moments(records)
        self._map = model._growth.blueprint.map
        live = [self._live(r["units"], r["gates"]) for r in records]
        self.widths = np.array([widths for widths, _ in live], dtype=int)
        gates = np.array([gates for _, gates in live], dtype=bool)
        self.gates = gates.reshape(len(records), len(self._map.gates))
        growth = model._growth
        seed = self._live(growth.seed_widths, growth.seed_gates)
        self.begins_as_seed = all(map(np.array_equal, seed, live[0]))
        self.costs = np.array([r["cost"] for r in records], dtype=float)
        targets = [r.get("target", np.nan) for r in records]
        self.targets = np.array(targets, dtype=float)
        settled = [bool(r.get("settled")) for r in records]
        self.settled_at = None
        if True in settled:
            self.settled_at = float(self.edges[settled.index(True)])
        self.metrics = _metrics(records, self.edges[1:])

    @property
    def epochs(self):
        """How many epochs have been trained."""
        return float(self.edges[-1])

    def structure(self, period):
        """A `Structure` with the widths and gates of a period."""
        return self._structure(self.widths[period], self.gates[period])

    def _structure(self, widths, gates):
        # Which units it were nobody wrote down; all pictures count them.
        units = np.zeros(self._map.unit_count, dtype=bool)
        for group, width in zip(self._map.groups, widths):
            units[group.start : group.start + width] = True
        return Structure(units, gates)

    def _live(self, widths, gates):
        units, gates = self._map.live(self._structure(widths, gates))
        return self._map.widths(units), gates


def _moments(records):
    """When the periods begin, with the end of the last one."""
    edges = [0.0]
    epochs = itertools.groupby(records, key=lambda record: record["epoch"])
    for index, (_, parts) in enumerate(epochs):
        examples = [max(part["examples"], 1) for part in parts]
        edges.extend(index + np.cumsum(examples) / np.sum(examples))
    return np.array(edges)


def _metrics(records, ends):
    found = {}
    for record, end in zip(records, ends):
        for name, value in (record.get("metrics") or {}).items():
            is_validation = name.startswith("val_")
            base = name.removeprefix("val_")
            if base in _OTHERS:
                continue
            kind = "validation" if is_validation else "training"
            moments, values = found.setdefault(base, {}).setdefault(
                kind, ([], [])
            )
            moments.append(end)
            values.append(value)
    # What is wanted to rise is looked at first; the loss always is there.
    names = sorted(found, key=lambda name: name == "loss")
    return {
        name: {
            kind: tuple(np.array(each, dtype=float) for each in series)
            for kind, series in sorted(found[name].items())
        }
        for name in names
    }

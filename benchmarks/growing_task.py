"""What is to be trained: the structures that one growing network can have."""

import abc
import functools
import itertools

import numpy as np

import keras_growprune as kgp


class GrowingTask(abc.ABC):
    """A growing network, and plain networks of all of its structures.

    Attributes:
        preset: Its sizes; `batch_size` is one of them.
        profile_path: File of the `DeviceProfile` of a training step. Defaults
            to `None`: the task has no budget of time.
    """

    preset = None
    profile_path = None

    @abc.abstractmethod
    def network(self):
        """`(inputs, outputs)` of the growable network."""

    def prepare(self):
        """Measures the profile, while nothing else runs."""
        _ = self.profile

    @functools.cached_property
    def profile(self):
        """`DeviceProfile` of a training step; measured where none is yet."""
        path = self.profile_path
        if path is None:
            return None
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            kgp.DeviceProfile.measure(
                self.shapes,
                "tensorflow-train",
                self.preset.batch_size,
                verbose=0,
            ).save(path)
        return kgp.DeviceProfile.load(path)

    @functools.cached_property
    def shapes(self):
        """A growing network that is never trained: it knows structures."""
        return kgp.GrowPruneModel(
            *self.network(), kgp.Budget(flops=1.0), seed=0
        )

    def structure(self, widths=1.0, gates=None):
        """A structure of the network.

        Args:
            widths: List, units of each group; or a fraction of the full ones.
            gates: List of bools, gated layers. Defaults to `None`: all.
        """
        groups = self.shapes.groups
        if isinstance(widths, float):
            widths = [max(1, round(group.size * widths)) for group in groups]
        units = np.zeros(self.shapes.structure.units.shape, bool)
        for group, width in zip(groups, widths):
            units[group.start : group.start + width] = True
        count = len(self.shapes.structure.gates)
        gates = np.full(count, True) if gates is None else gates
        return kgp.Structure(units, gates)

    def widths(self, structure):
        """Units of each group, as a list."""
        return [
            int(np.count_nonzero(structure.units[group.slice]))
            for group in self.shapes.groups
        ]

    def phases(self, model, epochs):
        """The structures that a growing network had in its training.

        Args:
            model: The trained `GrowPruneModel`.
            epochs: Epochs of its training.

        Returns:
            List of `(epochs, structure)`, one for each stretch of the training
            in which the structure was the same.
        """
        examples = model.ledger.total("examples") / epochs
        stretches = itertools.groupby(
            model.ledger.epochs,
            lambda record: (record["units"], record["gates"]),
        )
        return [
            (
                sum(record["examples"] for record in records) / examples,
                self.structure(widths, np.array(gates, bool)),
            )
            for (widths, gates), records in stretches
        ]

    def plain(self, structure=None):
        """A plain, untrained network of a structure; the full one's if None."""
        return self.shapes.untrained(structure or self.structure())

    @functools.cached_property
    def full_flops(self):
        return kgp.count_flops(self.plain())

    def relative_flops(self, model):
        return kgp.count_flops(model) / self.full_flops

    def widest(self, costs_at_most, gates=None):
        """The widest uniformly narrow structure.

        Args:
            costs_at_most: Function of a plain network, whether it is allowed.
            gates: As in `structure`.

        Returns:
            A `Structure`, or None if no width is allowed.
        """
        for width in np.arange(1.0, 0.0, -1 / 128):
            structure = self.structure(float(width), gates)
            if costs_at_most(self.plain(structure)):
                return structure
        return None

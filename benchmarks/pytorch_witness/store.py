"""All weights of one network at full size, with what is not in use now."""

import numpy as np
import torch

from pytorch_witness.network import CLASSES
from pytorch_witness.network import IMAGE
from pytorch_witness.network import is_there


class Store:
    """Weights, momenta and statistics of norms, at full width.

    As in the library: filters of newcomers are drawn at the present fan-in,
    nothing reads newcomers yet (those weights are zero), and what left keeps
    its weights and momenta.

    Args:
        network: A `Network`.
        generator: A `torch.Generator`, of newcomers.

    Attributes:
        values, momenta: Dicts of tensors. Keys are `("kernel", i)` (output
            channels first, input channels last), `("gamma", i)`, `("beta",
            i)`, `("head",)` and `("bias",)`.
        statistics: Dict of tensors, `("mean", i)` and `("variance", i)`.
    """

    def __init__(self, network, generator):
        self.network, self._generator = network, generator
        self.device = generator.device
        self.values, self.statistics = {}, {}
        for i, each in enumerate(network.convolutions):
            self.values["kernel", i] = self._zeros(
                network.sizes[each.outputs],
                each.size,
                each.size,
                3 if each.inputs == IMAGE else network.sizes[each.inputs],
            )
        for i, each in enumerate(network.norms):
            size = network.sizes[each.group]
            self.values["gamma", i] = self._zeros(size) + 1
            self.values["beta", i] = self._zeros(size)
            self.statistics["mean", i] = self._zeros(size)
            self.statistics["variance", i] = self._zeros(size) + 1
        self.values["head",] = self._zeros(CLASSES, network.sizes[network.head])
        self.values["bias",] = self._zeros(CLASSES)
        self.momenta = {k: torch.zeros_like(v) for k, v in self.values.items()}
        self._drawn = [
            np.zeros(network.sizes[each.outputs], bool)
            for each in network.convolutions
        ]
        self._head_is_drawn = False

    def _zeros(self, *shape):
        return torch.zeros(shape, device=self.device)

    def channels(self, units, group):
        """Channels of a group that are in the network, a tensor."""
        if group == IMAGE:
            return torch.arange(3, device=self.device)
        part = self.network.slices()[group]
        return self._indices(units[part])

    def _indices(self, mask):
        return torch.tensor(np.flatnonzero(mask), device=self.device)

    def draw_newcomers(self, units, gates):
        """Draws filters that were never in the network."""
        slices = self.network.slices()
        for i, each in enumerate(self.network.convolutions):
            if not is_there(each, gates):
                continue
            new = units[slices[each.outputs]] & ~self._drawn[i]
            if not new.any():
                continue
            self._drawn[i] |= new
            rows, columns = (
                self._indices(new),
                self.channels(units, each.inputs),
            )
            kernel = self.values["kernel", i]
            shape = (len(rows), each.size, each.size, len(columns))
            fan_in = each.size**2 * len(columns)
            drawn = torch.randn(
                shape, generator=self._generator, device=self.device
            )
            block = kernel[rows]
            block[..., columns] = drawn * (2 / fan_in) ** 0.5
            kernel[rows] = block
        if not self._head_is_drawn:
            self._draw_head(self.channels(units, self.network.head))

    def _draw_head(self, columns):
        """Glorot's uniform distribution, as Keras draws dense layers."""
        self._head_is_drawn = True
        drawn = torch.rand(
            (CLASSES, len(columns)),
            generator=self._generator,
            device=self.device,
        )
        limit = (6 / (CLASSES + len(columns))) ** 0.5
        self.values["head",][:, columns] = (2 * drawn - 1) * limit

    def silence(self, gate):
        """Lets a branch that comes for the first time start as zero."""
        kind, index = self.network.branch_ends[gate]
        if kind == "norm":
            self.values["gamma", index].zero_()
            self.values["beta", index].zero_()
        else:
            self.values["kernel", index].zero_()
            self._drawn[index][:] = True

    def fold(self, unit_factors, gate_factors, gates):
        """Moves factors on units and branches into weights.

        Args:
            unit_factors: Array `(units,)`.
            gate_factors: Array `(gates,)`.
            gates: Branches that are in the network: others stay as they are.
        """
        slices = self.network.slices()
        for i, each in enumerate(self.network.norms):
            if not is_there(each, gates):
                continue
            factors = torch.tensor(
                unit_factors[slices[each.group]],
                dtype=torch.float32,
                device=self.device,
            )
            self.values["gamma", i] *= factors
            self.values["beta", i] *= factors
        for gate in np.flatnonzero(gates):
            kind, i = self.network.branch_ends[gate]
            names = ("gamma", "beta") if kind == "norm" else ("kernel",)
            for name in names:
                self.values[name, i] *= float(gate_factors[gate])

    def take_over(self, other):
        """Takes weights and statistics of another store of the same network.

        Momenta stay zero, as those of a new optimizer.
        """
        self.values = {k: v.clone() for k, v in other.values.items()}
        self.statistics = {k: v.clone() for k, v in other.statistics.items()}
        self._drawn = [each.copy() for each in other._drawn]
        self._head_is_drawn = other._head_is_drawn

"""The network in its present structure, small, in one flat tensor."""

import numpy as np
import torch

from pytorch_witness.network import CLASSES
from pytorch_witness.network import IMAGE
from pytorch_witness.network import is_there

# Matrix units want channels in eights: what is missing is filled with zeros,
# which stay zeros, and change nothing but the speed.
BLOCK = 8


def padded(count):
    """Number of channels, rounded up to whole blocks."""
    return -(-count // BLOCK) * BLOCK


class Compact:
    """Weights of the present structure.

    All are parts of one vector: kernels, the head's kernel (these are
    penalized by weight decay), gammas, betas, and the head's bias.

    Args:
        store: The `Store`, which keeps everything else.
        units, gates: Boolean arrays, the structure.

    Attributes:
        theta, momentum: Vectors.
        means, variances: Vectors, of all norms.
        convolutions, norms: Indices of those that are there.
        kernel_shapes: Of `convolutions`.
        norm_sizes: Of `norms`.
        parts: Lengths of the five parts of `theta`.
        norm_units: For each channel of the norms its unit, or the number of
            units where it only fills up a block.
        norm_gates: For each channel of the norms the gate whose branch ends
            there, or the number of gates.
    """

    def __init__(self, store, units, gates):
        network = store.network
        self._store, self.units, self.gates = store, units, gates
        device = store.device
        self._channels = {
            group: store.channels(units, group)
            for group in range(IMAGE, len(network.sizes))
        }
        self.convolutions = [
            i
            for i, each in enumerate(network.convolutions)
            if is_there(each, gates)
        ]
        self.norms = [
            i for i, each in enumerate(network.norms) if is_there(each, gates)
        ]
        self.kernel_shapes = []
        for i in self.convolutions:
            each = network.convolutions[i]
            self.kernel_shapes.append(
                (
                    self._padded(each.outputs),
                    each.size,
                    each.size,
                    self._padded(each.inputs),
                )
            )
        self.norm_sizes = [
            self._padded(network.norms[i].group) for i in self.norms
        ]
        self.kernel_sizes = [int(np.prod(s)) for s in self.kernel_shapes]
        self.head_shape = CLASSES, self._padded(network.head)
        channels = sum(self.norm_sizes)
        self.parts = [
            sum(self.kernel_sizes),
            int(np.prod(self.head_shape)),
            channels,
            channels,
            CLASSES,
        ]
        total = sum(self.parts)
        self.theta = torch.zeros(total, device=device)
        self.momentum = torch.zeros(total, device=device)
        self.means = torch.zeros(channels, device=device)
        self.variances = torch.ones(channels, device=device)
        self._copy(store.values, self.theta, store.statistics, load=True)
        self._copy(store.momenta, self.momentum, None, load=True)
        self._find_units(network)
        self.theta.requires_grad_()

    def _padded(self, group):
        return padded(len(self._channels[group]))

    def write_back(self):
        """Copies everything into the store."""
        store = self._store
        theta = self.theta.detach()
        self._copy(store.values, theta, store.statistics, load=False)
        self._copy(store.momenta, self.momentum, None, load=False)

    def _copy(self, full, flat, statistics, load):
        def move(big, where, small):
            if load:
                small.copy_(big[where])
            else:
                big[where] = small

        network = self._store.network
        kernels, head, gammas, betas, bias = flat.split(self.parts)
        pieces = kernels.split(self.kernel_sizes)
        for i, shape, piece in zip(
            self.convolutions, self.kernel_shapes, pieces
        ):
            each = network.convolutions[i]
            rows = self._channels[each.outputs]
            columns = self._channels[each.inputs]
            piece = piece.view(shape)[: len(rows), :, :, : len(columns)]
            sides = torch.arange(each.size, device=rows.device)
            where = (
                rows[:, None, None, None],
                sides[:, None, None],
                sides[:, None],
                columns,
            )
            move(full["kernel", i], where, piece)
        vectors = [("gamma", gammas, full), ("beta", betas, full)]
        if statistics is not None:
            vectors += [
                ("mean", self.means, statistics),
                ("variance", self.variances, statistics),
            ]
        for name, vector, store in vectors:
            for i, piece in zip(self.norms, vector.split(self.norm_sizes)):
                where = self._channels[network.norms[i].group]
                move(store[name, i], where, piece[: len(where)])
        where = self._channels[network.head]
        piece = head.view(self.head_shape)[:, : len(where)]
        move(full["head",], (slice(None), where), piece)
        move(full["bias",], slice(None), bias)

    def _find_units(self, network):
        units, gates = [], []
        ends = {
            end: gate
            for gate, end in enumerate(network.branch_ends)
            if self.gates[gate]
        }
        slices, count = network.slices(), len(self.units)
        for i, size in zip(self.norms, self.norm_sizes):
            part = slices[network.norms[i].group]
            own = part.start + np.flatnonzero(self.units[part])
            filled = np.full(size, count)
            filled[: len(own)] = own
            units.append(filled)
            gate = ends.get(("norm", i), len(network.gate_kinds))
            gates.append(np.full(size, gate))
        device = self.theta.device
        self.norm_units = torch.tensor(np.concatenate(units), device=device)
        self.norm_gates = torch.tensor(np.concatenate(gates), device=device)

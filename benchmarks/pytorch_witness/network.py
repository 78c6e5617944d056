"""What a network consists of and what it costs. No PyTorch in here."""

import dataclasses

import numpy as np

from pytorch_witness.library import ProductCost

IMAGE = -1  # in place of a group: three channels that always exist
ALWAYS = -1  # in place of a gate
CLASSES = 10
_IMAGE_SIZE, _IMAGE_CHANNELS = 32, 3


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A convolution without bias.

    Attributes:
        inputs, outputs: Groups of its channels, or `IMAGE`.
        size: Height and width of the kernel.
        strides: Strides.
        resolution: Height and width of its output.
        gate: The gate without which it is not there, or `ALWAYS`.
    """

    inputs: int
    outputs: int
    size: int
    strides: int
    resolution: int
    gate: int = ALWAYS


@dataclasses.dataclass(frozen=True)
class Norm:
    """A batch norm of a group's channels."""

    group: int
    gate: int = ALWAYS


class Network:
    """A network at full width.

    Attributes:
        sizes: Units of each group.
        gate_kinds: Kind of each gated branch.
        convolutions, norms: Lists.
        branch_ends: For each gate `("norm", index)` or `("convolution",
            index)`: what a factor on the branch could be moved into.
        head: The group that the dense layer reads.
        forward: Function of layers, images and gates that returns features.
    """

    def __init__(self):
        self.sizes, self.gate_kinds = [], []
        self.convolutions, self.norms = [], []
        self.branch_ends = []
        self.head = self.forward = None
        self._resolution = _IMAGE_SIZE

    def group(self, size):
        self.sizes.append(size)
        return len(self.sizes) - 1

    def convolution(self, inputs, outputs, size, strides=1, gate=ALWAYS):
        self.convolutions.append(
            Convolution(
                inputs,
                outputs,
                size,
                strides,
                self._resolution // strides,
                gate,
            )
        )
        return len(self.convolutions) - 1

    def norm(self, group, gate=ALWAYS):
        self.norms.append(Norm(group, gate))
        return len(self.norms) - 1

    def gate(self, kind):
        self.gate_kinds.append(kind)
        self.branch_ends.append(None)
        return len(self.gate_kinds) - 1

    def shrink(self, factor=2):
        """Says that what follows works on smaller images."""
        self._resolution //= factor

    # Structures

    def slices(self):
        """Where the units of each group are among all units."""
        ends = np.cumsum(self.sizes)
        return [slice(e - n, e) for e, n in zip(ends, self.sizes)]

    def all_gates(self):
        return np.ones(len(self.gate_kinds), bool)

    def units(self, widths):
        """The first units of each group."""
        result = np.zeros(sum(self.sizes), bool)
        for part, width in zip(self.slices(), widths):
            result[part.start : part.start + width] = True
        return result

    def live_units(self, units, gates):
        """Units in the network that some layer computes."""
        is_computed = np.zeros(len(self.sizes), bool)
        for each in self.convolutions:
            if is_there(each, gates):
                is_computed[each.outputs] = True
        return units & np.repeat(is_computed, self.sizes)

    # Costs

    def flops(self):
        """Multiply-adds of one image, each counted as one."""
        return self._cost(
            [
                (self._kernel(i), each.size**2 * each.resolution**2)
                for i, each in enumerate(self.convolutions)
            ]
        )

    def parameters(self):
        """All parameters, with the moving averages of norms, as Keras counts
        them."""
        kernels = [
            (self._kernel(i), each.size**2)
            for i, each in enumerate(self.convolutions)
        ]
        first = len(self.convolutions)
        norms = [
            (_Weight(first + i, [self._channels(each.group)]), 4)
            for i, each in enumerate(self.norms)
        ]
        return self._cost(kernels + norms, CLASSES)

    def _cost(self, terms, constant=0):
        head = len(self.convolutions) + len(self.norms)
        dense = _Weight(head, [self._channels(self.head)])
        return ProductCost(
            _ChannelMap(self), [*terms, (dense, CLASSES)], constant
        )

    def _kernel(self, index):
        each = self.convolutions[index]
        channels = [self._channels(each.inputs), self._channels(each.outputs)]
        return _Weight(index, channels)

    def _channels(self, group):
        if group == IMAGE:
            return np.full(_IMAGE_CHANNELS, sum(self.sizes))
        part = self.slices()[group]
        return np.arange(part.start, part.stop)


def is_there(layer, gates):
    """Whether a convolution or norm is in a network with such gates."""
    return layer.gate == ALWAYS or bool(gates[layer.gate])


@dataclasses.dataclass(frozen=True)
class _Weight:
    """What `ProductCost` asks of a weight."""

    layer: int
    units: list


class _ChannelMap:
    """What `ProductCost` asks of a network."""

    def __init__(self, network):
        self.sizes = np.array(network.sizes)
        self.groups, self.gates = network.sizes, network.gate_kinds
        layers = [*network.convolutions, *network.norms]
        self._gates = np.array([each.gate for each in layers] + [ALWAYS])

    def layer_index(self, layer):
        return layer

    def present_layers(self, gates):
        # The last entry is that of `ALWAYS`.
        return np.append(gates, True)[self._gates]

"""Time as a cost: what a structure takes on one device."""

import numpy as np

from keras_growprune.cost import WeightwiseCost
from keras_growprune.cost import find_multiplications
from keras_growprune.devices.layer_work import kind_of


class LatencyCost(WeightwiseCost):
    """Predicted milliseconds of one call on a device.

    A sum over the layers that multiply: `a * multiply-adds + b * outputs +
    u * uneven outputs + c`. The multiply-adds count the widths rounded up to
    the device's blocks, and outputs are uneven where the layer's width is no
    multiple of its block. The factors are the device's, for each kind of layer.

    Args:
        channel_map: A `ChannelMap`.
        profile: A `DeviceProfile`.
    """

    measure = "latency"

    def __init__(self, channel_map, profile):
        found = find_multiplications(channel_map)
        self._blocks = profile.block, profile.input_block
        self._times = np.array([m.times for m in found])
        self._factors = np.array([profile.factors(kind_of(m)) for m in found])
        sides = [sum(u is not None for u in m.weight.units) for m in found]
        self._has_second = np.array(sides) == 2
        self._outputs = np.array([m.outputs / _output_side(m) for m in found])
        super().__init__(
            channel_map, [m.weight for m in found], profile.constant
        )

    def _cost_of_weights(self, first, second, rows):
        has_second, times = self._has_second[rows], self._times[rows]
        lengths = [first, np.where(has_second, second, np.nan)]
        outputs = np.where(has_second, second, first) * self._outputs[rows]
        features = layer_features(times, lengths, outputs, *self._blocks)
        return np.sum(features * self._factors[rows], axis=-1)


def layer_features(times, lengths, outputs, block, input_block):
    """What the time of a layer is linear in.

    Args:
        times: Array `(..., layers)`, multiply-adds per pair of channels.
        lengths: Two arrays `(..., layers)`: numbers of channels that are
            multiplied with each other, inputs first; the second is NaN where
            there is only one.
        outputs: Array `(..., layers)`, numbers of output values.
        block: Output channels that the device computes at once; also those
            of a layer that has one length only.
        input_block: Input channels that it reads at once.

    Returns:
        Array `(..., layers, 4)`: millions of multiply-adds with the lengths
        rounded up to whole blocks, millions of outputs, the same where the
        last length is no multiple of a block (else 0), and 1.
    """
    work = np.asarray(times, dtype=float)
    first, second = (np.asarray(length, dtype=float) for length in lengths)
    is_alone = np.isnan(second)
    for length, size in (
        (first, np.where(is_alone, block, input_block)),
        (np.where(is_alone, 1.0, second), np.where(is_alone, 1, block)),
    ):
        work = work * np.ceil(length / size) * size
    last = np.where(is_alone, first, second)
    outputs = np.broadcast_to(outputs, work.shape) / 1e6
    uneven = np.where(last % block == 0, 0.0, outputs)
    return np.stack([work / 1e6, outputs, uneven, np.ones_like(work)], axis=-1)


def _output_side(multiplication):
    """Length in the full network of the axis that the outputs follow."""
    sides = [u for u in multiplication.weight.units if u is not None]
    return len(sides[-1])

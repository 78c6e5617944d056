"""What a structure costs, as a function of its widths and layers."""

import abc

import numpy as np


class Cost(abc.ABC):
    """What a structure costs: a function of widths and gated layers.

    Attributes:
        measure: Name of the measure, such as `"flops"`.
        full: Cost of the full network.
    """

    measure: str
    full: float

    @abc.abstractmethod
    def __call__(self, widths, gates):
        """Cost of one or many structures.

        Args:
            widths: Integer array `(..., groups)`.
            gates: Boolean array `(..., gates)` with the same leading axes.

        Returns:
            Array `(...)`.
        """


class WeightwiseCost(Cost):
    """A sum over weights of a function of the lengths of their two axes.

    Both lengths are linear in the widths of the groups that the axes follow;
    a weight whose layer is out of the network costs nothing.

    Args:
        channel_map: A `ChannelMap`.
        weights: The `WeightAxes` that cost something, each as often as it is
            to be counted. An axis that follows no channels is left out; a
            side without an axis has length 1.
        constant: Cost of everything that no structure changes.
    """

    def __init__(self, channel_map, weights, constant=0.0):
        self._map = channel_map
        self._constant = float(constant)
        groups = len(channel_map.groups)
        shape = (len(weights), groups)
        self._slope = (np.zeros(shape), np.zeros(shape))
        self._offset = (np.ones(len(weights)), np.ones(len(weights)))
        self._layer = np.array(
            [channel_map.layer_index(weight.layer) for weight in weights],
            dtype=int,
        )
        owner = np.append(
            np.repeat(np.arange(groups), channel_map.sizes), groups
        )
        sizes = np.append(channel_map.sizes, 1)
        for row, weight in enumerate(weights):
            axes = [units for units in weight.units if units is not None]
            if len(axes) > 2:
                raise ValueError(
                    f"Weight `{weight.attribute}` of layer "
                    f"`{weight.layer.name}` has more than two axes that "
                    f"follow channels. Received: axes={weight.labels}"
                )
            for side, units in enumerate(axes):
                count = np.bincount(owner[units], minlength=groups + 1)
                # An axis repeats each unit of a group equally often.
                linear = count / sizes
                self._slope[side][row] = linear[:groups]
                self._offset[side][row] = linear[groups]
        self.full = float(
            self(channel_map.sizes, np.ones(len(channel_map.gates), bool))
        )

    @abc.abstractmethod
    def _cost_of_weights(self, first, second):
        """Cost of each weight in the network.

        Args:
            first, second: Arrays `(..., weights)`, the lengths of its axes.

        Returns:
            Array of the same shape.
        """

    def __call__(self, widths, gates):
        widths = np.asarray(widths, dtype=float)
        gates = np.asarray(gates, dtype=bool)
        lengths = [
            widths @ slope.T + offset
            for slope, offset in zip(self._slope, self._offset)
        ]
        costs = self._cost_of_weights(*lengths) * self._present(gates)
        return np.sum(costs, axis=-1) + self._constant

    def _present(self, gates):
        if gates.ndim == 1:
            return self._map.present_layers(gates)[self._layer]
        if not gates.size:  # no gates: everything is present, always
            return np.ones(gates.shape[:-1] + (len(self._layer),), bool)
        rows, inverse = np.unique(
            gates.reshape(-1, gates.shape[-1]), axis=0, return_inverse=True
        )
        known = np.array([self._present(row) for row in rows])
        return known[inverse.reshape(-1)].reshape(
            gates.shape[:-1] + (len(self._layer),)
        )


class ProductCost(WeightwiseCost):
    """Sum over weights of `coefficient * first length * second length`.

    Args:
        channel_map: A `ChannelMap`.
        terms: List of `(weight, coefficient)` of the weights that cost
            something; the coefficient multiplies the product of the lengths
            of all labelled axes.
        constant: Cost of everything that no structure changes.
    """

    def __init__(self, channel_map, terms, constant=0.0):
        self._coefficient = np.array([c for _, c in terms], dtype=float)
        weights = [weight for weight, _ in terms]
        super().__init__(channel_map, weights, constant)

    def _cost_of_weights(self, first, second):
        return self._coefficient * first * second

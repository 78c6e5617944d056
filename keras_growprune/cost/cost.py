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
        slope = np.zeros((2, len(weights), groups))
        offset = np.ones((2, len(weights)))
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
                slope[side, row] = linear[:groups]
                offset[side, row] = linear[groups]
        self._lengths = [_SparseAffine(*each) for each in zip(slope, offset)]
        # Which weight is touched by which group, and how much.
        self._touched = np.nonzero(np.any(slope, axis=0))
        self._touch = slope[(slice(None), *self._touched)]
        self._flipped = None, None
        self.full = float(
            self(channel_map.sizes, np.ones(len(channel_map.gates), bool))
        )

    @abc.abstractmethod
    def _cost_of_weights(self, first, second, rows):
        """Cost of weights in the network.

        Args:
            first, second: Arrays `(..., rows)`, the lengths of their axes.
            rows: Which weights are meant: a slice, or an array of indices.

        Returns:
            Array of the same shape.
        """

    def of_changes(self, widths, gates, to):
        """Costs of structures that differ from one in one place.

        Args:
            widths: Integer array `(groups,)`.
            gates: Boolean array `(gates,)`.
            to: Array `(groups + gates,)`: what each width and each gate is
                changed to, in a structure of its own.

        Returns:
            Array `(groups + gates,)`.
        """
        # A growth rule asks this for each unit that it buys or sells, and
        # nearly all of a sum stays what it was.
        widths, to = np.asarray(widths, float), np.asarray(to, float)
        gates = np.asarray(gates, bool)
        count, (rows, groups) = len(widths), self._touched
        lengths = np.array([length_of(widths) for length_of in self._lengths])
        costs = self._cost_of_weights(*lengths, slice(None))
        present = self._present(gates)
        result = np.full(len(to), np.sum(costs * present) + self._constant)
        change = (to[:count] - widths)[groups]
        new = self._cost_of_weights(
            *(lengths[:, rows] + self._touch * change), rows
        )
        result[:count] += np.bincount(
            groups, (new - costs[rows]) * present[rows], minlength=count
        )
        flips = np.flatnonzero((to[count:] > 0) != gates)
        if len(flips):
            key = gates.tobytes()
            if self._flipped[0] != key:
                others = gates ^ np.eye(len(gates), dtype=bool)
                self._flipped = key, self._present(others)
            others = self._flipped[1][flips]
            result[count + flips] = np.sum(costs * others, -1) + self._constant
        return result

    def __call__(self, widths, gates):
        widths = np.asarray(widths, dtype=float)
        gates = np.asarray(gates, dtype=bool)
        lengths = [length_of(widths) for length_of in self._lengths]
        costs = self._cost_of_weights(*lengths, slice(None))
        costs = costs * self._present(gates)
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


class _SparseAffine:
    """`x @ slope.T + offset` of a slope with few entries that are not zero.

    A growth rule asks for it thousands of times. Products of small dense
    matrices take several times as long, and a hundred times where other work
    keeps the threads busy among which they are dealt out.

    Args:
        slope: Array `(rows, columns)`.
        offset: Array `(rows,)`.
    """

    def __init__(self, slope, offset):
        self._offset = offset
        rows, self._columns = np.nonzero(slope)
        self._values = slope[rows, self._columns]
        # Rows without entries have no place in sums of parts.
        self._rows, self._starts = np.unique(rows, return_index=True)

    def __call__(self, x):
        result = np.empty(x.shape[:-1] + self._offset.shape)
        result[...] = self._offset
        if len(self._rows):
            terms = x[..., self._columns] * self._values
            sums = np.add.reduceat(terms, self._starts, axis=-1)
            result[..., self._rows] += sums
        return result


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

    def _cost_of_weights(self, first, second, rows):
        return self._coefficient[rows] * first * second

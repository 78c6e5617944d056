"""Buying and selling units and layers at a cost."""

import copy
from typing import NamedTuple

import numpy as np

from keras_growprune.growth.landing import land

# A sum of floats that should be equal may differ by this share of the whole.
_ROUNDING = 1e-9
# The same of one structure's cost, computed among others and alone.
_NOISE = 1e-13


class Offers(NamedTuple):
    """The next step of each group, and then of each gate.

    Attributes:
        to: Array `(groups + gates,)`, widths, and whether gates are on.
        worth: Array, likewise: what is given up or promised.
        rating: Array, likewise, by which offers are compared: the worth, or
            less than any; NaN where nothing is offered.
        cost: Array, likewise: of the network after that step.
    """

    to: np.ndarray
    worth: np.ndarray
    rating: np.ndarray
    cost: np.ndarray


class Market:
    """Sells what is worth least per cost, buys what promises most.

    Units of a group are sold and bought in steps between admissible widths
    (see `UnitSpace.multiples`). Nothing is ever sold below the smallest
    admissible width.

    A worth below zero is a noisy estimate, but exactly zero is none: no
    gradient ever came through, as in a dead ReLU. That rates below any
    estimate: it goes first and comes back last.

    Args:
        space: The `UnitSpace`.
        units: Boolean array `(units,)`, what is in the network.
        gates: Boolean array `(gates,)`, likewise.
        worth: Array `(units,)`, NaN where unknown.
        gate_worth: Array `(gates,)`, NaN where unknown.
        kept_units: Boolean array `(units,)`: may not be sold. Defaults to
            `None`: none.
        kept_gates: Boolean array `(gates,)`: may not be sold. Defaults to
            `None`: none.
        lived: Boolean array `(units,)`: has been in the network before.
            Defaults to `None`: none.

    Attributes:
        units, gates: Boolean arrays, what is in the network now.
        widths: Integer array `(groups,)`, units of each group now.
        cost: Of the network.
        price: Worth per cost of the last step.
        total: Worth of what was bought, less that of what was sold.

    Example:

    ```python
    space = kgp.growth.UnitSpace(
        sizes=np.array([4]),
        multiples=np.array([1]),
        gate_kinds=np.zeros(0, int),
        cost=lambda widths, gates: 3.0 * np.sum(widths, axis=-1),
    )
    worth = np.array([0.5, 0.1, 0.4, 0.2])
    market = kgp.growth.Market(space, np.ones(4), [], worth, gate_worth=[])
    market.sell_down_to(7.0)  # 3.0 for each unit
    market.units  # [True, False, True, False]
    market.cost  # 6.0
    market.price  # 0.06667
    ```
    """

    def __init__(
        self,
        space,
        units,
        gates,
        worth,
        gate_worth,
        kept_units=None,
        kept_gates=None,
        lived=None,
    ):
        self.space = space
        self.units = np.array(units, dtype=bool)
        self.gates = np.array(gates, dtype=bool)
        self.worth = np.asarray(worth, dtype=float)
        self.gate_worth = np.asarray(gate_worth, dtype=float)
        none = np.zeros(self.units.shape, dtype=bool)
        no_gates = np.zeros(self.gates.shape, dtype=bool)
        self.kept_units = none if kept_units is None else kept_units
        self.kept_gates = no_gates if kept_gates is None else kept_gates
        self.lived = none if lived is None else lived
        self.widths = space.widths(self.units)
        self.cost = float(space.cost(self.widths, self.gates))
        self.price = self.total = 0.0
        self._slices = space.slices()
        self._known_worth = [
            _with_mean_where_unknown(self.worth[part]) for part in self._slices
        ]
        self._dead, self._dead_gates = self.worth == 0, self.gate_worth == 0
        self._sold, self._bought = none.copy(), none.copy()
        self._sold_gates = no_gates.copy()
        # What each group would sell and buy next, until it changes.
        groups = len(self.widths)
        self._sales = np.zeros((groups, 3))
        self._purchases = np.zeros((groups, 4))
        self._stale_sales = set(range(groups))
        self._stale_purchases = set(range(groups))

    def copy(self):
        """Returns a market that goes on without changing this one."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, (np.ndarray, set)):
                setattr(other, name, value.copy())
        return other

    def fits(self, limit):
        """Whether the network costs at most `limit`.

        Args:
            limit: A cost.
        """
        return self.cost <= limit * (1 + _ROUNDING)

    def sell_down_to(self, target, among=True, least=-np.inf):
        """Sells until the network costs at most `target`, if it can.

        Args:
            target: Largest cost.
            among: Boolean array `(groups + gates,)`: what may be sold.
                Defaults to `True`: all that is not kept.
            least: Stops where `total` is no longer above this. Defaults to
                minus infinity.
        """
        while not self.fits(target) and self.total > least:
            if not self._trade(self.offers_to_sell(), among, np.argmin):
                break

    def buy_up_to(self, target, newcomers=True, layers=True, most=np.inf):
        """Buys the best promise per cost while anything fits.

        Args:
            target: Largest cost.
            newcomers: Whether to buy also what was not sold just now, or has
                no effect. Defaults to `True`.
            layers: Whether to buy gated layers too. Defaults to `True`.
            most: Stops where `total` is no longer below this. Defaults to
                infinity.
        """
        while self.total < most:
            offers = self.offers_to_buy(newcomers, layers)
            fits = offers.cost <= target * (1 + _ROUNDING)
            if not self._trade(offers, fits, np.argmax):
                break

    def land_on(self, limit):
        """Ends at most at `limit`, so that nothing further would fit.

        Args:
            limit: Largest cost.
        """
        vars(self).update(vars(land(self.copy(), limit)))

    def release(self):
        """Lets go of all that is kept, or not measured, in the network."""
        self.kept_units = np.zeros_like(self.kept_units)
        self.kept_gates = np.zeros_like(self.kept_gates)
        unmeasured = self.gates & np.isnan(self.gate_worth)
        self.gate_worth = np.where(unmeasured, 0.0, self.gate_worth)
        self._stale_sales.update(range(len(self.widths)))

    def take(self, offers, index):
        """Sells or buys what one of the offers says.

        Args:
            offers: `Offers`.
            index: Which of them: that of a group, or the number of groups and
                that of a gate.
        """
        to, worth, _, cost = (float(values[index]) for values in offers)
        group, gate = index, index - len(self.widths)
        if gate < 0:
            is_bought = to > self.widths[group]
            self._set_width(group, int(to))
        else:
            is_bought = bool(to)
            self.gates[gate] = is_bought
            self._sold_gates[gate] = not is_bought
        self.total += worth if is_bought else -worth
        self.cost = cost

    def ratings_per_cost(self, offers):
        """Returns the ratings of offers per change of the network's cost.

        Args:
            offers: `Offers`.
        """
        return offers.rating / np.abs(offers.cost - self.cost)

    def offers_to_sell(self):
        """Returns the `Offers` that each group and each layer makes to sell."""
        for group in self._stale_sales:
            self._sales[group] = self._next_sale(group)
        self._stale_sales.clear()
        widths, worth, rating = self._sales.T
        to = np.append(widths, np.zeros_like(self.gates))
        may = self.gates & ~self.kept_gates
        gate_worth = np.where(may, self.gate_worth, np.nan)
        return self._offers(to, self.costs(to), worth, rating, gate_worth)

    def offers_to_buy(self, newcomers, layers):
        """What each group and, if asked, each layer would buy next.

        Args:
            newcomers, layers: As in `buy_up_to`.

        Returns:
            `Offers`.
        """
        for group in self._stale_purchases:
            self._purchases[group] = self._next_purchase(group)
        self._stale_purchases.clear()
        widths, promise, rating, is_known = self._purchases.T
        if not newcomers:
            rating = np.where(is_known, rating, np.nan)
        to = np.append(widths, np.ones_like(self.gates))
        costs = self.costs(to)
        known_gates = self._sold_gates & ~self._dead_gates
        may = ~self.gates & (newcomers | known_gates) & layers
        gate_promise = self._promises(may, costs[len(widths) :])
        return self._offers(to, costs, promise, rating, gate_promise)

    def offers_of_layers(self):
        """Returns `Offers` of all layers that are off, none of groups.

        Layers of which nobody knows what they promise are among them.
        """
        to = np.append(self.widths, np.ones_like(self.gates))
        costs, none = self.costs(to), np.full(len(self.widths), np.nan)
        promises = self._promises(~self.gates, costs[len(none) :])
        promises = np.where(self.gates, np.nan, np.nan_to_num(promises))
        return self._offers(to, costs, none, none, promises)

    def costs(self, to):
        """Costs of all variants with one width or one gate changed.

        Args:
            to: Array `(groups + gates,)`, to what they are changed.

        Returns:
            Array `(groups + gates,)`.
        """
        return self.space.costs_of_changes(self.widths, self.gates, to)

    def differs(self, cost):
        """Whether a cost is another one than the network's.

        Args:
            cost: A number or an array.
        """
        return np.abs(cost - self.cost) > _NOISE * self.cost

    def _offers(self, to, costs, worth, rating, gate_worth):
        """Offers of what makes the network cheaper, if it is sold, or dearer.

        What is inside a layer that is off does neither.
        """
        gate_rating = np.where(self._dead_gates, -np.inf, gate_worth)
        gate_rating[np.isnan(gate_worth)] = np.nan
        rating = np.append(rating, gate_rating)
        is_dearer = to > np.append(self.widths, self.gates)
        has_effect = self.differs(costs) & (is_dearer == (costs > self.cost))
        rating[~has_effect] = np.nan
        return Offers(to, np.append(worth, gate_worth), rating, costs)

    def _trade(self, offers, among, best):
        """Takes the offer that rates best per cost; whether there was one."""
        (there,) = np.nonzero(among & ~np.isnan(offers.rating))
        if not len(there):
            return False
        index = there[best(self.ratings_per_cost(offers)[there])]
        cost = abs(offers.cost[index] - self.cost)
        self.price = float(offers.worth[index] / cost)
        self.take(offers, index)
        return True

    def _next_sale(self, group):
        """Width, worth and rating of what a group would lose; NaN if it keeps
        all."""
        to = self.space.narrower(group, self.widths[group])
        count = self.widths[group] - to
        chosen = self._cheapest(group, count)
        if not count or len(chosen) < count:
            return to, np.nan, np.nan
        worth = np.sum(self._known_worth[group][chosen])
        dead = self._dead[self._slices[group]][chosen]
        return to, worth, _rating(worth, dead)

    def _next_purchase(self, group):
        """Width that a group would get, promise and rating of what comes, NaN
        if it has all; and whether all of that was sold just now, for some
        effect."""
        to = self.space.wider(group, self.widths[group])
        count = to - self.widths[group]
        if not count:
            return to, np.nan, np.nan, False
        part, worth = self._slices[group], self._known_worth[group]
        chosen = self._next_to_buy(group, count)
        known, dead = self._sold[part][chosen], self._dead[part][chosen]
        # The mean worth of the present units times their number before and
        # after: what they are worth is shared with the newcomers.
        earning = self.units[part] & ~self._bought[part]
        share = np.sum(worth[earning]) / to
        promise = np.sum(np.where(known | dead, worth[chosen], share))
        is_known = known.all() and not dead.all()
        return to, promise, _rating(promise, dead), is_known

    def _promises(self, layers, costs):
        """What layers that are not there may be worth.

        Their own worth, else the mean of their kind, else that of all layers.
        The first layer of all promises as much per cost as the units of the
        network; nobody knows about others while that one is not measured.

        Args:
            layers: Boolean array `(gates,)`, which ones are meant.
            costs: Array `(gates,)`, of the network with each of them.

        Returns:
            Array `(gates,)`, NaN for all others and where nobody knows.
        """
        promises = np.where(layers, self.gate_worth, np.nan)
        kinds = self.space.gate_kinds
        measured = self.gates & ~np.isnan(self.gate_worth)
        for gate in np.flatnonzero(layers & np.isnan(promises)):
            alike = measured & (kinds == kinds[gate])
            known = alike if alike.any() else measured
            if known.any():
                promises[gate] = np.mean(self.gate_worth[known])
            elif not self.gates.any():
                worth = np.nansum(self.worth[self.units])
                promises[gate] = worth * (costs[gate] - self.cost) / self.cost
        return promises

    def _cheapest(self, group, count):
        """Indices in the group of the units that would be sold next."""
        part = self._slices[group]
        may = np.flatnonzero(self.units[part] & ~self.kept_units[part])
        worth = self._known_worth[group][may]
        order = np.lexsort((worth, ~self._dead[part][may]))
        return may[order[:count]]

    def _next_to_buy(self, group, count):
        """What was sold just now, then units that never lived, then others;
        what has no effect comes after all of them."""
        part = self._slices[group]
        may = np.flatnonzero(~self.units[part])
        rank = np.where(self._sold[part], 0, np.where(self.lived[part], 2, 1))
        worth = self._known_worth[group]
        worth = np.where(rank == 1, 0.0, worth)  # in their own order
        rank[self._dead[part]] = 3
        order = np.lexsort((-worth[may], rank[may]))
        return may[order[:count]]

    def _set_width(self, group, width):
        part = self._slices[group]
        change = width - self.widths[group]
        if change < 0:
            chosen = part.start + self._cheapest(group, -change)
        else:
            chosen = part.start + self._next_to_buy(group, change)
        self.units[chosen] = change > 0
        self._bought[chosen] = (change > 0) & ~self._sold[chosen]
        self._sold[chosen] = change < 0
        self.widths[group] = width
        self._stale_sales.add(group)
        self._stale_purchases.add(group)


def _rating(worth, dead):
    """What units are compared by: less than any worth if all are dead."""
    return -np.inf if dead.all() else worth


def _with_mean_where_unknown(worth):
    """Worth of a group's units, with the group's mean where unknown."""
    known = ~np.isnan(worth)
    if known.all():
        return worth
    return np.where(known, worth, np.mean(worth[known]) if known.any() else 1.0)

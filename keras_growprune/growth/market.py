"""Buying and selling units and layers at a cost."""

import numpy as np

# A sum of floats that should be equal may differ by this share of the whole.
_ROUNDING = 1e-9


class Market:
    """Sells what is worth least per cost, buys what promises most.

    Units of a group are sold and bought in steps between admissible widths
    (see `UnitSpace.multiples`). Nothing is ever sold below the smallest
    admissible width.

    Args:
        space: The `UnitSpace`.
        units: Boolean array `(units,)`, what is in the network.
        gates: Boolean array `(gates,)`, likewise.
        worth: Array `(units,)`, NaN where unknown.
        gate_worth: Array `(gates,)`, NaN where unknown.
        kept_units: Boolean array `(units,)`: may not be sold.
        kept_gates: Boolean array `(gates,)`: may not be sold.
        lived: Boolean array `(units,)`: has been in the network before.
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
        self.kept_units = none if kept_units is None else kept_units
        self.lived = none if lived is None else lived
        self.kept_gates = (
            np.zeros(self.gates.shape, dtype=bool)
            if kept_gates is None
            else kept_gates
        )
        self.price = 0.0
        self._slices = space.slices()
        self._known_worth = [
            _with_mean_where_unknown(self.worth[part]) for part in self._slices
        ]
        # What each group would sell and buy next, until it changes.
        self._next_sales, self._next_purchases = {}, {}
        self._widths = space.widths(self.units)
        self._sold = none.copy()
        self._bought = none.copy()
        self._sold_gates = np.zeros(self.gates.shape, dtype=bool)
        self._cost = float(space.cost(self._widths, self.gates))

    @property
    def cost(self):
        return self._cost

    @property
    def widths(self):
        return self._widths.copy()

    def sell_down_to(self, target):
        """Sells until the network costs at most `target`, if it can."""
        while self._cost > target * (1 + _ROUNDING):
            offers = [
                (worth / (self._cost - cost), move, cost)
                for worth, move, cost in self._offers_to_sell()
                if cost < self._cost
            ]
            if not offers:
                break
            self.price, move, cost = min(offers, key=lambda offer: offer[0])
            self._apply(move, cost)

    def buy_up_to(self, target, newcomers=True, layers=True):
        """Buys the best promise per cost while anything fits.

        Args:
            target: Largest cost.
            newcomers: Whether to buy also what was not sold just now.
            layers: Whether to buy gated layers too.
        """
        while True:
            offers = [
                (worth / (cost - self._cost), move, cost)
                for worth, move, cost in self._offers_to_buy(newcomers, layers)
                if self._cost < cost <= target * (1 + _ROUNDING)
            ]
            if not offers:
                break
            self.price, move, cost = max(offers, key=lambda offer: offer[0])
            self._apply(move, cost)

    def land_on(self, limit):
        """Ends at most at `limit`, so that no further unit would fit.

        What was sold last is bought back where it fits, then sold units are
        exchanged against others as long as that raises the total worth, and
        what room is left goes to whatever fits.
        """
        self.sell_down_to(limit)
        if self._cost > limit * (1 + _ROUNDING):
            # The budget binds more than any grace or missing measurement.
            self.kept_units = np.zeros_like(self.kept_units)
            self._next_sales.clear()
            self.kept_gates = np.zeros_like(self.kept_gates)
            self.gate_worth = np.nan_to_num(self.gate_worth, nan=0.0)
            self.sell_down_to(limit)
        price = self.price
        self.buy_up_to(limit, newcomers=False)
        for _ in range(2 * len(self._widths)):
            if not self._exchange(limit):
                break
            self.buy_up_to(limit, newcomers=False)
        # No new layer comes for leftover room, after the last change.
        self.buy_up_to(limit, layers=False)
        self.price = price or self.price

    def _exchange(self, limit):
        buys = [
            offer
            for offer in self._offers_to_buy(newcomers=False, layers=False)
            if offer[2] > self._cost
        ]
        sells = [o for o in self._offers_to_sell() if o[1][0] == "unit"]
        best = None
        for promise, (_, bought, to), _ in buys:
            for worth, (_, sold, down), _ in sells:
                if bought == sold or promise <= worth:
                    continue
                widths = self._widths.copy()
                widths[bought], widths[sold] = to, down
                cost = float(self.space.cost(widths, self.gates))
                gain = promise - worth
                fits = self._cost - _ROUNDING * limit <= cost <= limit
                if fits and (best is None or gain > best[0]):
                    best = (gain, ("unit", sold, down), ("unit", bought, to))
        if best is None:
            return False
        for move in best[1:]:
            widths = self._widths.copy()
            widths[move[1]] = move[2]
            self._apply(move, float(self.space.cost(widths, self.gates)))
        return True

    def _costs(self, widths, gates):
        """Costs of all variants with one width or one gate changed."""
        groups, layers = len(self._widths), len(self.gates)
        all_widths = np.tile(self._widths, (groups + layers, 1))
        all_gates = np.tile(self.gates, (groups + layers, 1))
        index = np.arange(groups)
        all_widths[index, index] = widths
        index = np.arange(layers)
        all_gates[groups + index, index] = gates
        costs = self.space.cost(all_widths, all_gates)
        return costs[:groups], costs[groups:]

    def _offers_to_sell(self):
        sales = [self._next_sale(group) for group in range(len(self._widths))]
        widths = np.array([to for to, _ in sales], dtype=int)
        costs, gate_costs = self._costs(widths, np.zeros_like(self.gates))
        offers = [
            (worth, ("unit", group, to), float(costs[group]))
            for group, (to, worth) in enumerate(sales)
            if worth is not None
        ]
        for gate in np.flatnonzero(self.gates & ~self.kept_gates):
            worth = self.gate_worth[gate]
            if not np.isnan(worth):
                move = ("gate", gate, False)
                offers.append((float(worth), move, float(gate_costs[gate])))
        return offers

    def _next_sale(self, group):
        """Width and worth that a group would lose; None if it keeps all."""
        if group not in self._next_sales:
            to = self.space.narrower(group, self._widths[group])
            count = self._widths[group] - to
            chosen = self._cheapest(group, count)
            worth = None
            if count and len(chosen) == count:
                worth = float(np.sum(self._known_worth[group][chosen]))
            self._next_sales[group] = to, worth
        return self._next_sales[group]

    def _offers_to_buy(self, newcomers, layers):
        purchases = [
            self._next_purchase(group) for group in range(len(self._widths))
        ]
        widths = np.array([to for to, _, _ in purchases], dtype=int)
        costs, gate_costs = self._costs(widths, np.ones_like(self.gates))
        offers = [
            (promise, ("unit", group, to), float(costs[group]))
            for group, (to, promise, all_known) in enumerate(purchases)
            if promise is not None and (newcomers or all_known)
        ]
        for gate in np.flatnonzero(~self.gates) if layers else ():
            if newcomers or self._sold_gates[gate]:
                move = ("gate", gate, True)
                cost = float(gate_costs[gate])
                promise = self._promise_of_gate(gate, cost - self._cost)
                if promise is not None:
                    offers.append((promise, move, cost))
        return offers

    def _next_purchase(self, group):
        """Width that a group would get, its promise, and whether all that
        comes was sold just now; no promise if the group has all."""
        if group not in self._next_purchases:
            to = self.space.wider(group, self._widths[group])
            count = to - self._widths[group]
            promise, all_known = None, False
            if count:
                part, worth = self._slices[group], self._known_worth[group]
                chosen = self._next_to_buy(group, count)
                known = self._sold[part][chosen]
                # The mean worth of the present units times their number before
                # and after: what they are worth is shared with the newcomers.
                earning = self.units[part] & ~self._bought[part]
                share = float(np.sum(worth[earning])) / to
                promise = float(np.sum(np.where(known, worth[chosen], share)))
                all_known = bool(known.all())
            self._next_purchases[group] = to, promise, all_known
        return self._next_purchases[group]

    def _promise_of_gate(self, gate, cost):
        """What a layer of a given cost that is not there may be worth.

        Its own worth, else the mean of its kind, else that of all layers. The
        first layer of all promises as much per cost as the units of the
        network; None while it is not measured yet.
        """
        if not np.isnan(self.gate_worth[gate]):
            return float(self.gate_worth[gate])
        kinds = self.space.gate_kinds
        measured = self.gates & ~np.isnan(self.gate_worth)
        alike = measured & (kinds == kinds[gate])
        for known in (alike, measured):
            if known.any():
                return float(np.mean(self.gate_worth[known]))
        if self.gates.any():
            return None
        earning = self.units & ~np.isnan(self.worth)
        return float(np.sum(self.worth[earning])) * cost / self._cost

    def _cheapest(self, group, count):
        """Indices in the group of the units that would be sold next."""
        part = self._slices[group]
        may = np.flatnonzero(self.units[part] & ~self.kept_units[part])
        worth = self._known_worth[group][may]
        return may[np.argsort(worth, kind="stable")[:count]]

    def _next_to_buy(self, group, count):
        """What was sold just now, then units that never lived, then others."""
        part = self._slices[group]
        may = np.flatnonzero(~self.units[part])
        rank = np.where(self._sold[part], 0, np.where(self.lived[part], 2, 1))
        worth = self._known_worth[group]
        worth = np.where(rank == 1, 0.0, worth)  # in their own order
        order = np.lexsort((-worth[may], rank[may]))
        return may[order[:count]]

    def _apply(self, move, cost):
        kind, index, to = move
        if kind == "gate":
            self.gates[index] = to
            self._sold_gates[index] = not to
        else:
            part = self._slices[index]
            change = to - self._widths[index]
            if change < 0:
                chosen = self._cheapest(index, -change)
            else:
                chosen = self._next_to_buy(index, change)
            self.units[part.start + chosen] = change > 0
            was_sold = self._sold[part.start + chosen]
            self._bought[part.start + chosen] = (change > 0) & ~was_sold
            self._sold[part.start + chosen] = change < 0
            self._widths[index] = to
            self._next_sales.pop(index, None)
            self._next_purchases.pop(index, None)
        self._cost = cost


def _with_mean_where_unknown(worth):
    """Worth of a group's units, with the group's mean where unknown."""
    known = ~np.isnan(worth)
    if known.all():
        return worth
    return np.where(known, worth, np.mean(worth[known]) if known.any() else 1.0)

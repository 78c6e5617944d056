"""The last deal: at most the budget, and no room of it left unused."""

import numpy as np

# What should be equal may differ by this share of the whole.
_ROUNDING = 1e-9


def land(market, limit):
    """Ends at most at `limit`, so that nothing further would fit.

    What was sold last is bought back where it fits, then sold units are
    exchanged against others as long as that raises the total worth. A layer
    is too large a step for prices alone: the landing is tried with each
    measured one that is off, and the larger total counts. What room is left
    goes to units that were not there before and, where none fits, to layers.

    Args:
        market: A `Market`. It may change.
        limit: Largest cost.

    Returns:
        A `Market`.
    """
    market.sell_down_to(limit)
    if not market.fits(limit):
        # The budget binds more than any grace or missing measurement.
        market.release()
        market.sell_down_to(limit)
    price = market.price
    _use_known_units(market, limit)
    market = _use_known_layers(market, limit)
    market.buy_up_to(limit, layers=False)
    market = _use_any_layers(market, limit)
    market.price = price or market.price
    return market


def _use_known_units(market, limit):
    """Makes the best of the units that were there just now."""
    market.buy_up_to(limit, newcomers=False)
    for _ in range(2 * len(market.widths)):
        if not _exchange(market, limit):
            break
        market.buy_up_to(limit, newcomers=False)


def _exchange(market, limit):
    """Sells units of one group for better ones of another, if there are any.

    The cost does not fall, so that this comes to an end.
    """
    groups = len(market.widths)
    sells = market.offers_to_sell()
    buys = market.offers_to_buy(newcomers=False, layers=False)
    is_better = sells.rating[:groups, np.newaxis] < buys.rating[:groups]
    sold, bought = np.nonzero(is_better & ~np.eye(groups, dtype=bool))
    if not len(sold):
        return False
    pairs = np.arange(len(sold))
    widths = np.tile(market.widths, (len(sold), 1))
    widths[pairs, sold] = sells.to[sold]
    widths[pairs, bought] = buys.to[bought]
    gates = np.broadcast_to(market.gates, (len(sold), len(market.gates)))
    costs = market.space.cost(widths, gates)
    fits = (costs >= market.cost - _ROUNDING * limit) & (costs <= limit)
    gains = np.where(fits, buys.rating[bought] - sells.rating[sold], -np.inf)
    best = np.argmax(gains)
    if not fits[best]:
        return False
    market.take(sells, sold[best])
    buys.cost[bought[best]] = costs[best]
    market.take(buys, bought[best])
    return True


def _use_known_layers(market, limit):
    """Buys measured layers as long as that raises the total worth."""
    offers = market.offers_of_layers()
    for layer in _by_promise(market, offers):
        trial = _with_layer(market, offers, layer, limit)
        if trial is not None:
            return _use_known_layers(trial, limit)
    return market


def _with_layer(market, offers, layer, limit):
    """A landing that has one more layer, or None if it is worth no more."""
    gate = layer - len(market.widths)
    if not market.gate_worth[gate] > 0:  # or nobody knows
        return None
    trial, rival = market.copy(), market.copy()
    trial.take(offers, layer)
    trial.kept_gates[gate] = True
    trial.sell_down_to(limit, least=market.total)
    trial.kept_gates = market.kept_gates
    if not trial.fits(limit):
        return None
    _use_known_units(trial, limit)
    # The same room could go to units that were not there before.
    rival.buy_up_to(trial.cost, layers=False, most=trial.total)
    gain = trial.total - max(market.total, rival.total)
    return trial if gain > _ROUNDING * offers.worth[layer] else None


def _use_any_layers(market, limit):
    """Buys whatever layers fit in the room left, if need be with few units."""
    idle = _idle(market)
    offers = market.offers_of_layers()
    for layer in _by_promise(market, offers):
        if _least_cost_with(layer, market, idle) > limit:
            continue
        trial = market.copy()
        trial.take(offers, layer)
        trial.sell_down_to(limit, among=idle)
        if trial.fits(limit):
            trial.buy_up_to(limit, layers=False)
            return _use_any_layers(trial, limit)
    return market


def _by_promise(market, offers):
    """Indices of offers of layers, the best promise per cost first.

    A layer that was never there has learned nothing: it comes after those
    that were measured, but before those that had no effect.
    """
    ratings = market.ratings_per_cost(offers)
    rank = np.where(np.isneginf(ratings), 2, 0)
    groups = len(market.widths)
    rank[groups:][np.isnan(market.gate_worth)] = 1
    order = np.lexsort((-ratings, rank))
    return [index for index in order if not np.isnan(ratings[index])]


def _idle(market):
    """What costs nothing now, because it is inside a layer that is off.

    Returns:
        Boolean array `(groups + gates,)`, false for gates that are off.
    """
    least = market.space.smallest_widths()
    costs = market.costs(np.append(least, np.zeros_like(market.gates)))
    may = np.append(np.ones_like(least), market.gates)
    return ~market.differs(costs) & (may > 0)


def _least_cost_with(layer, market, idle):
    """Cost with a layer that is off, and no more inside it than must be."""
    groups = len(market.widths)
    least = market.space.smallest_widths()
    widths = np.where(idle[:groups], least, market.widths)
    gates = market.gates & ~idle[groups:]
    gates[layer - groups] = True
    return float(market.space.cost(widths, gates))

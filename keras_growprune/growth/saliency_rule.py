"""The default rule: what is bought and sold has one price across layers."""

import numpy as np

from keras_growprune.growth.market import Market
from keras_growprune.growth.rule import Rule
from keras_growprune.growth.schedule import GrowthSchedule

# A new layer starts as the identity: its gradient, and with it its measured
# worth, takes some epochs to say anything.
_GATE_GRACE = 4
_LARGEST_LOGIT = 20.0


class SaliencyRule(Rule):
    """Prices units by their saliency per cost and follows a cost schedule.

    While the network costs more than the schedule allows, the unit (or gated
    layer) with the smallest saliency per freed cost goes; while it costs
    less, units are added where the present ones are worth most per cost. The
    logits follow the measurement: `log(saliency / cost) - log(price)`.

    The saliency of a unit estimates the rise of the loss if it left. With `t`
    the derivative of one batch's mean loss by a factor on the unit's output,
    it is `batch_size / 2 * var(t) - mean(t)` over the steps of a period: the
    curvature is the diagonal Fisher information, as in Theis et al. (2018),
    "Faster gaze prediction with dense networks and Fisher pruning".

    Args:
        gate_grace: Periods (epochs, unless the schedule divides them) for
            which a new layer may not be sold. Defaults to 4.

    Example:

    ```python
    rule = kgp.growth.SaliencyRule(gate_grace=2)
    model = kgp.growable(network, kgp.Budget(flops=0.5), rule=rule)
    model.rule  # "saliency"
    ```
    """

    name = "saliency"

    def __init__(self, gate_grace=_GATE_GRACE):
        self.gate_grace = gate_grace

    def get_config(self):
        return {"gate_grace": self.gate_grace}

    def default_schedule(self, measure, budget):
        if measure != "latency":
            return GrowthSchedule.around(budget)
        # A layer takes time however narrow it is: few wide ones to begin with.
        # They have all of the budget: what comes later learns for less long.
        return GrowthSchedule.around(
            budget,
            seed=1.0,
            peak=1.4,
            peak_at=0.1,
            settle_at=0.3,
            seed_shape="shallow",
        )

    def decide(self, state, space, target):
        market = self._market(state, space)
        market.sell_down_to(target)
        # Room below the schedule goes to new units only while it rises;
        # otherwise it goes back to what was sold last.
        shrinks = market.cost < space.cost(
            space.widths(state.units), state.gates
        )
        market.buy_up_to(target, newcomers=not shrinks)
        self._conclude(state, space, market)
        return market.units, market.gates

    def land(self, state, space, limit):
        # Landing may find units that were never measured (when a user settles
        # early): they count like the others of their group.
        market = self._market(state, space, keep_unmeasured=False)
        market.land_on(limit)
        self._conclude(state, space, market)
        return market.units, market.gates

    def _market(self, state, space, keep_unmeasured=True):
        unmeasured = np.isnan(state.saliency)
        return Market(
            space,
            state.units,
            state.gates,
            worth=state.saliency,
            gate_worth=state.gate_saliency,
            kept_units=unmeasured & keep_unmeasured,
            kept_gates=state.gate_ages < self.gate_grace,
            lived=state.ages > 0,
        )

    def _conclude(self, state, space, market):
        if market.price:
            state.price = float(market.price)
        if not state.price > 0:
            return
        costs = space.unit_costs(market.widths, market.gates)
        costs = costs[space.unit_groups()]
        known = ~np.isnan(state.saliency) & (costs > 0)
        worth = np.maximum(state.saliency[known] / costs[known], 1e-30)
        logits = np.log(worth) - np.log(state.price)
        state.logits = state.logits.copy()
        state.logits[known] = np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)

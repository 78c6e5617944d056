"""Interface of the growth rules."""

import abc

from keras_growprune.growth.schedule import GrowthSchedule


class Rule(abc.ABC):
    """Decides once a period which units and layers are in the network.

    A rule of your own is a subclass with `decide` and `land`. To save a model
    with it, register the class with `keras.saving.register_keras_serializable`
    and override `get_config`.

    Attributes:
        name: What `GrowPruneModel(rule=...)` calls it.
        trains_logits: Whether logits are trained by gradients of the loss, so
            that units are multiplied by their relaxed presence while growing.

    Example:

    ```python
    class AtRandom(kgp.growth.Rule):
        name = "at random"

        def decide(self, state, space, target):
            market = self.market(state, space)
            market.sell_down_to(target)
            market.buy_up_to(target)
            return market.units, market.gates

        def land(self, state, space, limit):
            market = self.market(state, space)
            market.land_on(limit)
            return market.units, market.gates

        def market(self, state, space):
            return kgp.growth.Market(
                space,
                state.units,
                state.gates,
                worth=state.random.random(state.units.shape),
                gate_worth=state.random.random(state.gates.shape),
            )


    model = kgp.growable(network, kgp.Budget(flops=0.5), rule=AtRandom())
    model.rule  # "at random"
    ```
    """

    name: str
    trains_logits = False

    def default_schedule(self, measure, budget):
        """The schedule that is used when the user gives none.

        Args:
            measure: What the budget bounds: `"flops"`, `"params"` or
                `"latency"`.
            budget: The budget, as a fraction of the full network's cost.

        Returns:
            A `GrowthSchedule`.
        """
        del measure
        return GrowthSchedule.around(budget)

    def get_config(self):
        """Returns the constructor's arguments as a dict."""
        return {}

    @classmethod
    def from_config(cls, config):
        """Returns the rule that `get_config` described.

        Args:
            config: What it returned.
        """
        return cls(**config)

    # Most rules have nothing to set.
    def start(self, state, space, target):  # noqa: B027
        """Sets the first logits of a seed network in `state`.

        Does nothing unless a rule overrides it.

        Args:
            state: The `GrowthState` of the seed network.
            space: The `UnitSpace`.
            target: Cost that the network may have now.
        """

    @abc.abstractmethod
    def decide(self, state, space, target):
        """Next structure of a growing network.

        Sets `state.price` and, where the rule measures them, the logits.

        Args:
            state: The `GrowthState`; its `units` and `gates` stay untouched.
            space: The `UnitSpace`.
            target: Cost that the network may have now.

        Returns:
            `(units, gates)`, boolean arrays.
        """

    @abc.abstractmethod
    def land(self, state, space, limit):
        """Final structure: at most `limit`, and no further unit would fit.

        Args:
            state: The `GrowthState`; its `units` and `gates` stay untouched.
            space: The `UnitSpace`.
            limit: The budget.

        Returns:
            `(units, gates)`, boolean arrays.
        """

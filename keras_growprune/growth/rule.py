"""Interface of the growth rules."""

import abc

from keras_growprune.growth.schedule import GrowthSchedule


class Rule(abc.ABC):
    """Decides once a period which units and layers are in the network.

    To save a model with a rule of your own, register the rule's class with
    `keras.saving.register_keras_serializable` and override `get_config`.

    Attributes:
        name: What `GrowPruneModel(rule=...)` calls it.
        trains_logits: Whether logits are trained by gradients of the loss, so
            that units are multiplied by their relaxed presence while growing.
    """

    name: str
    trains_logits = False

    def default_schedule(self, measure, budget):
        """The schedule that is used when the user gives none.

        Args:
            measure: What the budget bounds: `"flops"`, `"params"` or
                `"latency"`.
            budget: The budget, as a fraction of the full network's cost.
        """
        del measure
        return GrowthSchedule.around(budget)

    def get_config(self):
        """Returns the constructor's arguments as a dict."""
        return {}

    @classmethod
    def from_config(cls, config):
        """Returns the rule that `get_config` described."""
        return cls(**config)

    # Most rules have nothing to set.
    def start(self, state, space, target):  # noqa: B027
        """Sets the first logits of a seed network in `state`."""

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

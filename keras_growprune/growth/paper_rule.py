"""The published rule: trained logits, sampled structures, a moving lambda."""

import numpy as np

from keras_growprune.growth import relaxation
from keras_growprune.growth.market import Market
from keras_growprune.growth.rule import Rule
from keras_growprune.growth.schedule import GrowthSchedule


class PaperRule(Rule):
    """Yuan, Savarese, Maire (ICLR 2021), section 3.

    Each unit has a logit `s` that is trained with the weights, under a
    penalty `lambda * sum(cost * sigmoid(temperature * s))`, with costs
    relative to their mean. Before each epoch a unit is drawn into the network
    with that probability; lambda is `lambda_base * (cost - budget)`, in
    fractions of the full network's cost: too large a network is pruned, too
    small a one grows.

    The paper's text was not at hand. Here what the seed network has starts
    with a presence of 0.92, all else with 0.08; were the presence the share
    of the seed instead, factors of a quarter in a row would leave a network
    without norms, like an LSTM, hardly a signal to learn from.

    The logits are trained by `compile(gate_optimizer=...)`, or the model's
    optimizer. Its learning rate says how fast the structure changes: 0.1 with
    SGD is a good one, 20, as language models have, is not.

    Args:
        lambda_base: Strength of the penalty on units. Defaults to 1.0.
        gate_lambda_base: Strength of the penalty on gated layers. Defaults to
            1.0.
        final_temperature: Temperature of a unit that was in the network for
            the whole run. Defaults to 100.0.

    Example:

    ```python
    rule = kgp.growth.PaperRule(lambda_base=2.0)
    rule.penalty(cost=0.75, budget=0.5)  # 0.5
    model = kgp.growable(network, kgp.Budget(flops=0.5), rule=rule)
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        gate_optimizer=keras.optimizers.SGD(0.1),
    )
    model.fit(images, labels, epochs=20)
    ```
    """

    name = "paper"
    trains_logits = True

    def __init__(
        self, lambda_base=1.0, gate_lambda_base=1.0, final_temperature=100.0
    ):
        self.lambda_base = lambda_base
        self.gate_lambda_base = gate_lambda_base
        self.final_temperature = final_temperature

    def get_config(self):
        return {
            "lambda_base": self.lambda_base,
            "gate_lambda_base": self.gate_lambda_base,
            "final_temperature": self.final_temperature,
        }

    def default_schedule(self, measure, budget):
        del measure
        # Sampling goes on for most of the run; only then is it fixed.
        return GrowthSchedule.around(budget, settle_at=0.8, restructure_every=1)

    def penalty(self, cost, budget):
        """Lambda of units: `lambda_base * (cost - budget)`.

        Args:
            cost: Cost of the network, as a fraction of the full network's.
            budget: The budget, likewise.

        Returns:
            A float, below 0 where the network is too small.
        """
        return self.lambda_base * (cost - budget)

    def gate_penalty(self, cost, budget):
        """Lambda of gated layers: `gate_lambda_base * (cost - budget)`.

        Args:
            cost, budget: As in `penalty`.

        Returns:
            A float.
        """
        return self.gate_lambda_base * (cost - budget)

    def start(self, state, space, target):
        del space, target
        # What the seed network has is likely, but not certain, to stay.
        state.logits = np.where(state.units, 2.5, -2.5)
        state.gate_logits = np.where(state.gates, 2.5, -2.5)

    def temperatures(self, ages, epochs):
        """Temperature of each unit or layer, from its age.

        `final_temperature ** (age / epochs)`.

        Args:
            ages: Array, periods that each was in the network.
            epochs: Length of the run in periods.

        Returns:
            Array of the same shape.
        """
        return relaxation.temperature(
            ages, epochs, final=self.final_temperature
        )

    def decide(self, state, space, target):
        units = relaxation.sample(self._presence(state), state.random)
        gates = relaxation.sample(self._gate_presence(state), state.random)
        return self._admissible(state, space, units), gates

    def land(self, state, space, limit):
        units = state.units | (self._presence(state) > 0.5)
        market = Market(
            space,
            self._admissible(state, space, units),
            state.gates | (self._gate_presence(state) > 0.5),
            worth=self._presence(state),
            gate_worth=self._gate_presence(state),
            # One layer against one unit: per cost it would always go first.
            kept_gates=self._gate_presence(state) > 0.5,
            lived=state.ages > 0,
        )
        market.land_on(limit)
        return market.units, market.gates

    def _presence(self, state):
        temperatures = self.temperatures(state.ages, state.periods)
        return relaxation.presence(state.logits, temperatures)

    def _gate_presence(self, state):
        temperatures = self.temperatures(state.gate_ages, state.periods)
        return relaxation.presence(state.gate_logits, temperatures)

    def _admissible(self, state, space, units):
        """Nearest admissible width from below, by the largest logits."""
        units = units.copy()
        for group, part in enumerate(space.slices()):
            width = int(np.count_nonzero(units[part]))
            wanted = width
            if width < space.sizes[group]:
                wanted -= width % space.multiples[group]
            wanted = max(wanted, space.smallest_widths()[group])
            # Drawn units first, then the others, each by their logits.
            order = np.lexsort((-state.logits[part], ~units[part]))
            units[part] = False
            units[part.start + order[:wanted]] = True
        return units

"""Structure gates whose logits are trained with the weights (the paper's)."""

import keras
import numpy as np

from keras_growprune.layers import StructureGate


class TrainedGates:
    """The gates of all units and of all gated layers of one network.

    Without a rule that trains logits there are none, and every method does
    nothing.

    Args:
        rule: The `Rule`.
        units: Number of units.
        layers: Number of gated layers.

    Attributes:
        unit_gate, layer_gate: `StructureGate`s, or None.
        penalty: Scalar variable, the paper's lambda.
    """

    def __init__(self, rule, units, layers):
        self._rule = rule
        self.penalty = keras.Variable(0.0, trainable=False, name="penalty")
        self.unit_gate = self._make("unit_gate", units)
        self.layer_gate = self._make("layer_gate", layers)

    def _make(self, name, size):
        if not (self._rule.trains_logits and size):
            return None
        gate = StructureGate(
            size, final_temperature=self._rule.final_temperature, name=name
        )
        gate.build((None, size))
        return gate

    def __bool__(self):
        return self.unit_gate is not None or self.layer_gate is not None

    def _with_state(self):
        """`(gate, name of its logits, name of its ages)` of each gate."""
        pairs = (
            (self.unit_gate, "logits", "ages"),
            (self.layer_gate, "gate_logits", "gate_ages"),
        )
        return [pair for pair in pairs if pair[0] is not None]

    def variables(self):
        """The logits."""
        return [gate.logits for gate, _, _ in self._with_state()]

    def push(self, state):
        """Gives the gates the logits of a `GrowthState`."""
        for gate, logits, _ in self._with_state():
            gate.logits.assign(getattr(state, logits))

    def pull(self, state):
        """Gives a `GrowthState` the trained logits."""
        if state.settled:
            return
        for gate, logits, _ in self._with_state():
            setattr(state, logits, np.array(gate.logits, dtype=float))

    def prepare_epoch(self, state, cost, budget):
        """Sets ages, temperature and penalty of the epoch that begins.

        Args:
            state: The `GrowthState`; its `price` becomes the penalty.
            cost: Cost of the network as a fraction of the full network's.
            budget: The budget, likewise.
        """
        if not self:
            return
        for gate, _, ages in self._with_state():
            gate.ages.assign(getattr(state, ages))
            gate.epochs = max(state.epochs, 1)
        settled = state.settled
        state.price = 0.0 if settled else self._rule.penalty(cost, budget)
        self.penalty.assign(state.price)

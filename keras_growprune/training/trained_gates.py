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
        penalties: Variable of shape `(2,)`, the paper's lambda for units and
            for gated layers.
    """

    def __init__(self, rule, units, layers):
        self._rule = rule
        self.penalties = keras.Variable(
            np.zeros(2, "float32"), trainable=False, name="penalties"
        )
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
            setattr(state, logits, gate.logits.numpy().astype(float))

    def harden(self, state):
        """Gives a `GrowthState` the factors that soft gates have now."""
        for gate, name in (
            (self.unit_gate, "scales"),
            (self.layer_gate, "gate_scales"),
        ):
            if gate is not None:
                setattr(state, name, np.array(gate.presence(), dtype=float))

    def prepare_period(self, state, cost, budget):
        """Sets ages, temperature and penalty of the period that begins.

        Args:
            state: The `GrowthState`; its `price` becomes the penalty.
            cost: Cost of the network as a fraction of the full network's.
            budget: The budget, likewise.
        """
        if not self:
            return
        for gate, _, ages in self._with_state():
            gate.ages.assign(getattr(state, ages))
            gate.run_length.assign(max(state.periods, 1))
        penalties = [0.0, 0.0]
        if not state.settled:
            penalties[0] = self._rule.penalty(cost, budget)
            penalties[1] = self._rule.gate_penalty(cost, budget)
        state.price = float(penalties[0])
        self.penalties.assign(penalties)

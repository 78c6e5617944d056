"""What the final network may cost."""

import numbers

from keras_growprune.cost.flops import FlopsCost
from keras_growprune.cost.parameters import ParameterCost

_MEASURES = {"flops": FlopsCost, "params": ParameterCost}


class Budget:
    """Upper bound on the cost of the final network.

    Args:
        flops: Multiply-adds of one example's forward pass (the papers' FLOPs).
            A float in (0, 1] is a fraction of the full network's, an integer
            an absolute count.
        params: Number of parameters, likewise.

    Raises:
        ValueError: If not exactly one of the arguments is given, or it is
            neither a float in (0, 1] nor a positive integer.

    Example:

    ```python
    kgp.Budget(flops=0.5)  # half the FLOPs of the full network
    kgp.Budget(params=100_000)  # at most 100,000 parameters
    ```
    """

    def __init__(self, flops=None, params=None):
        given = {
            name: value
            for name, value in {"flops": flops, "params": params}.items()
            if value is not None
        }
        if len(given) != 1:
            raise ValueError(
                "A budget needs exactly one of `flops` and `params`. "
                f"Received: flops={flops}, params={params}"
            )
        ((self.measure, value),) = given.items()
        is_count = isinstance(value, numbers.Integral)
        valid = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if valid:
            valid = value > 0 if is_count else 0 < value <= 1
        if not valid:
            raise ValueError(
                f"Argument `{self.measure}` must be a float in (0, 1] (a "
                "fraction of the full network's) or a positive integer (an "
                f"absolute count). Received: {self.measure}={value!r}"
            )
        self.value = int(value) if is_count else float(value)

    def cost(self, channel_map):
        """Returns the `Cost` that this budget bounds."""
        return _MEASURES[self.measure](channel_map)

    def limit(self, cost):
        """Returns the bound in the unit of `cost`."""
        if isinstance(self.value, int):
            return float(self.value)
        return self.value * cost.full

    def get_config(self):
        """Returns the constructor's arguments as a dict."""
        return {self.measure: self.value}

    @classmethod
    def from_config(cls, config):
        """Returns the budget that `get_config` described."""
        return cls(**config)

    def __repr__(self):
        return f"Budget({self.measure}={self.value})"

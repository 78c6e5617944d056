"""What the final network may cost."""

import numbers

import keras

from keras_growprune.cost.flops import FlopsCost
from keras_growprune.cost.parameters import ParameterCost

_MEASURES = {"flops": FlopsCost, "params": ParameterCost}


class Budget:
    """Upper bound on the cost of the final network.

    Args:
        flops: Multiply-adds of one example's forward pass (the papers' FLOPs).
            A float in (0, 1] is a fraction of the full network's, an integer
            an absolute count. So 1.0 is the full network, 1 a single one.
        params: Number of parameters, likewise.
        latency: Time of one call on the device that `profile` describes, as
            a fraction in (0, 1] of the full network's.
        latency_ms: The same in milliseconds.
        profile: A `DeviceProfile`, needed with `latency` and `latency_ms`
            and only there. Units are then bought and sold in blocks of what
            the device computes at once.

    Raises:
        ValueError: If not exactly one of the bounds is given, it is out of
            its range, or there is no profile for a bound on time.

    Example:

    ```python
    kgp.Budget(flops=0.5)  # half the FLOPs of the full network
    kgp.Budget(params=100_000)  # at most 100,000 parameters
    profile.save("phone.json")  # a `DeviceProfile`
    profile = kgp.DeviceProfile.load("phone.json")
    budget = kgp.Budget(latency_ms=0.8, profile=profile)  # 0.8 ms on the phone
    budget.is_absolute  # True
    ```
    """

    def __init__(
        self,
        flops=None,
        params=None,
        *,
        latency=None,
        latency_ms=None,
        profile=None,
    ):
        bounds = dict(
            flops=flops, params=params, latency=latency, latency_ms=latency_ms
        )
        given = {name: v for name, v in bounds.items() if v is not None}
        if len(given) != 1:
            received = ", ".join(f"{k}={v}" for k, v in bounds.items())
            raise ValueError(
                "A budget needs exactly one of `flops`, `params`, `latency` "
                f"and `latency_ms`. Received: {received}"
            )
        ((self._name, self.value),) = given.items()
        self.measure = "latency" if "latency" in self._name else self._name
        self.profile = profile
        self._check_value()
        is_profile = hasattr(profile, "milliseconds")
        is_profile = is_profile and not isinstance(profile, type)
        if (self.measure == "latency") != is_profile:
            raise ValueError(
                "Argument `profile` must be a `DeviceProfile` with a bound on "
                "time, and None otherwise. Received: "
                f"{self._name}={self.value!r}, profile={profile!r}"
            )

    def _check_value(self):
        value = self.value
        valid = isinstance(value, numbers.Real) and not isinstance(value, bool)
        is_count = isinstance(value, numbers.Integral)
        if self._name == "latency_ms":
            valid, expected = valid and value > 0, "a positive number"
        elif self._name == "latency":
            valid = valid and 0 < value <= 1
            expected = "a number in (0, 1], a fraction of the full network's"
        else:
            valid = valid and (value > 0 if is_count else 0 < value <= 1)
            expected = (
                "a float in (0, 1] (a fraction of the full network's) or a "
                "positive integer (an absolute count)"
            )
        if not valid:
            is_share = isinstance(value, numbers.Real) and 1 < value <= 100
            fix = f". {value:g} % is {value / 100:g}." if is_share else ""
            raise ValueError(
                f"Argument `{self._name}` must be {expected}. Received: "
                f"{self._name}={value!r}{fix}"
            )
        keeps_integer = is_count and self.measure != "latency"
        self.value = int(value) if keeps_integer else float(value)

    @property
    def is_absolute(self):
        """Whether the bound is no fraction of the full network's cost."""
        return isinstance(self.value, int) or self._name == "latency_ms"

    @property
    def block(self):
        """Channels that the device computes at once; 1 without a device."""
        return self.profile.block if self.profile else 1

    def cost(self, channel_map):
        """Returns the `Cost` that this budget bounds.

        Args:
            channel_map: The `ChannelMap` of the network.
        """
        if self.profile is not None:
            return self.profile.cost(channel_map)
        return _MEASURES[self.measure](channel_map)

    def limit(self, cost):
        """Returns the bound in the unit of `cost`, a float.

        Args:
            cost: The `Cost` of the network, as the method `cost` returns it.
        """
        if self.is_absolute:
            return float(self.value)
        return self.value * cost.full

    def get_config(self):
        """Returns the constructor's arguments as a dict."""
        config = {self._name: self.value}
        if self.profile is not None:
            config["profile"] = keras.saving.serialize_keras_object(
                self.profile
            )
        return config

    @classmethod
    def from_config(cls, config):
        """Returns the budget that `get_config` described.

        Args:
            config: What it returned.
        """
        config = dict(config)
        if "profile" in config:
            config["profile"] = keras.saving.deserialize_keras_object(
                config["profile"]
            )
        return cls(**config)

    def __repr__(self):
        profile = f", profile={self.profile!r}" if self.profile else ""
        return f"Budget({self._name}={self.value}{profile})"

"""Logits, temperature and presence of structure gates (the paper's)."""

import numpy as np


def temperature(ages, epochs, initial=1.0, final=100.0):
    """Temperature of each unit: those that trained long harden.

    `initial * final ** (age / epochs)`, the structure-wise temperature of
    Yuan et al. (ICLR 2021), with the age of a unit in epochs in which it was
    in the network.

    Args:
        ages: Array, epochs each unit has been in the network.
        epochs: Length of the run in epochs.
        initial: Temperature at age 0.
        final: Factor on it at age `epochs`.

    Returns:
        Array of the same shape.
    """
    return initial * final ** (np.asarray(ages, dtype=float) / max(epochs, 1))


def presence(logits, temperatures):
    """Relaxed presence `sigmoid(temperature * logit)`, in (0, 1)."""
    argument = np.asarray(logits, float) * np.asarray(temperatures, float)
    # Through tanh, which cannot overflow.
    return 0.5 * (1.0 + np.tanh(argument / 2))


def sample(probabilities, random):
    """Draws each unit's presence from its own Bernoulli distribution."""
    probabilities = np.asarray(probabilities)
    return random.random(probabilities.shape) < probabilities

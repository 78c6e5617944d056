"""What a unit is worth, from the gradients of ordinary training steps."""

import numpy as np


def saliency(total, total_of_squares, steps, batch_size):
    """Estimated rise of the loss if a unit left the network.

    With `t` the derivative of one batch's mean loss by a factor on the unit's
    output, at factor 1, the loss without the unit is about
    `L - t + 1/2 * H`. Over batches the first-order term is `-mean(t)`; the
    curvature `H` is estimated by the Fisher information of the factor, the
    variance of a single example's derivative, which is `batch_size * var(t)`.
    (Theis et al. 2018, "Faster gaze prediction with dense networks and Fisher
    pruning", use the same diagonal Fisher estimate.)

    Args:
        total: Array, sum of `t` over the steps.
        total_of_squares: Array, sum of `t ** 2` over the steps.
        steps: Number of steps that were summed.
        batch_size: Mean number of examples in a batch.

    Returns:
        Array of the same shape, in units of the loss; NaN without any step.

    Example:

    ```python
    saliency(np.array([3.0]), np.array([5.0]), steps=2, batch_size=8)
    # mean 1.5, variance 2.5 - 2.25 = 0.25: 8 / 2 * 0.25 - 1.5 = -0.5
    ```
    """
    total = np.asarray(total, dtype="float64")
    if steps < 1:
        return np.full(total.shape, np.nan)
    mean = total / steps
    variance = np.asarray(total_of_squares, dtype="float64") / steps - mean**2
    return batch_size / 2 * np.maximum(variance, 0.0) - mean


def average_by_halves(old, new):
    """Running average in which each epoch's measurement weighs one half.

    Args:
        old: Array, NaN where nothing was measured before.
        new: Array, NaN where nothing was measured now.

    Returns:
        `new` where there was no old value, `old` where there is no new one,
        their mean elsewhere.
    """
    old, new = np.asarray(old, float), np.asarray(new, float)
    mixed = np.where(np.isnan(old), new, (old + new) / 2)
    return np.where(np.isnan(new), old, mixed)

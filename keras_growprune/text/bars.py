"""Fractions as bars of one character."""

import numpy as np

from keras_growprune.text.encoding import can_show

_HEIGHTS, _ABSENT = "▁▂▃▄▅▆▇█", "·"
_DIGITS, _ABSENT_IN_ASCII = "12345678", "."


def bars(fractions, most=None):
    """Draws fractions as a row of bars, one character each.

    Args:
        fractions: Sequence of floats from 0 to 1. 0 is drawn as absent.
        most: Most characters. Neighbours are averaged where there are more
            fractions. Defaults to one character each.

    Returns:
        A string; digits from 1 to 8 where the terminal has no bars.
    """
    fractions = np.asarray(fractions, dtype=float)
    if most is not None and len(fractions) > most:
        fractions = [each.mean() for each in np.array_split(fractions, most)]
    heights, absent = _HEIGHTS, _ABSENT
    if not can_show(heights + absent):
        heights, absent = _DIGITS, _ABSENT_IN_ASCII
    last = len(heights) - 1
    return "".join(
        heights[min(last, int(np.ceil(f * len(heights))) - 1)] if f else absent
        for f in fractions
    )

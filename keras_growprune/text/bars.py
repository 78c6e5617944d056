"""Fractions as bars of one character."""

import numpy as np

from keras_growprune.text.encoding import can_show

_HEIGHTS, _ABSENT = "▁▂▃▄▅▆▇█", "·"
_DIGITS, _ABSENT_IN_ASCII = "12345678", "."


def bars(fractions, most=None):
    """Draws fractions as a row of bars, one character each.

    Args:
        fractions: Sequence of floats from 0 to 1. 0 is drawn as absent, and
            1 alone as the full block: what lacks a little is seen to lack it.
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
    return "".join(_bar(f, heights) if f else absent for f in fractions)


def _bar(fraction, heights):
    if fraction >= 1:
        return heights[-1]
    return heights[
        min(int(np.ceil(fraction * len(heights))), len(heights) - 1) - 1
    ]

"""What the tables of several examples have in common."""

import math


def cell(value, full, form):
    """A value and its share of the full network's, as far as they are known.

    Args:
        value: A number; NaN if it is not known.
        full: That of the full network, or NaN.
        form: How to format the value, such as `",.0f"`.
    """
    if math.isnan(value):
        return "-"
    share = "" if math.isnan(full) else f" ({value / full:.2f})"
    return f"{value:{form}}{share}"

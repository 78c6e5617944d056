"""The colours of all pictures."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colours for one background.

    Those that tell something apart are Okabe and Ito's, which colour-blind
    people can read; the map of fractions is perceptually uniform, and the same
    in both: a colour means one width, whatever is behind it.

    Attributes:
        background: Of the whole figure.
        ink: Text.
        muted: Text and lines of lesser weight.
        faint: Grids and outlines.
        pale: Areas of what could be there.
        now: What the network has now; its cost.
        seed: What the seed network had.
        out: What has left the network; the budget.
        settled: The moment when the structure became final.
        training, validation: Metrics of the two sets.
        fractions: Name of a colour map, from 0 to 1.
    """

    background: str
    ink: str
    muted: str
    faint: str
    pale: str
    now: str
    seed: str
    out: str
    settled: str
    training: str
    validation: str
    fractions: str

    def colors(self):
        """Red, green and blue from 0 to 255, an array of a row for each."""
        values = [getattr(self, each.name) for each in dataclasses.fields(self)]
        return np.array(
            [
                [int(value[start : start + 2], 16) for start in (1, 3, 5)]
                for value in values
                if value.startswith("#")
            ],
            dtype=float,
        )


_THEMES = {
    "light": Theme(
        background="#ffffff",
        ink="#1f2328",
        muted="#656d76",
        faint="#d0d7de",
        pale="#eaeef2",
        now="#0072b2",
        seed="#e69f00",
        out="#d55e00",
        settled="#b8578c",
        training="#0072b2",
        validation="#e69f00",
        fractions="viridis",
    ),
    "dark": Theme(
        background="#0d1117",
        ink="#e6edf3",
        muted="#8b949e",
        faint="#3d444d",
        pale="#21262d",
        now="#56b4e9",
        seed="#f0e442",
        out="#f0883e",
        settled="#e48fc0",
        training="#56b4e9",
        validation="#e69f00",
        fractions="viridis",
    ),
}


def theme_named(name):
    """Returns the `Theme` of a name.

    Raises:
        ValueError: If there is none.
    """
    if not isinstance(name, str) or name not in _THEMES:
        raise ValueError(
            "Argument `theme` must be 'light' or 'dark'. Received: "
            f"theme={name!r}"
        )
    return _THEMES[name]

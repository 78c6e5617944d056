"""Figures of matplotlib, which is loaded when the first one is drawn."""

import contextlib
import os

from keras_growprune.files import new_aside

# Pixels of an inch, on the screen and in a file.
_ON_SCREEN, _IN_FILE = 100, 200
_LARGE, _SMALL = 11, 8.5


def matplotlib_parts():
    """Returns the module that stands on matplotlib.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        from keras_growprune.visualization import shown_figure
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib, which is not installed. Run `pip "
            "install matplotlib pillow`, the packages of the extra "
            "`keras_growprune[viz]`."
        ) from error
    return shown_figure


@contextlib.contextmanager
def drawing(theme):
    """Inside, figures have the colours of a theme and nothing of a user's."""
    settings = {
        "figure.facecolor": theme.background,
        "savefig.facecolor": theme.background,
        "axes.facecolor": theme.background,
        "axes.edgecolor": theme.faint,
        "axes.labelcolor": theme.muted,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": _SMALL,
        "axes.titlecolor": theme.ink,
        "axes.titlelocation": "left",
        "text.color": theme.ink,
        "xtick.color": theme.faint,
        "ytick.color": theme.faint,
        "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.muted,
        "grid.color": theme.faint,
        "grid.linewidth": 0.5,
        "font.size": _SMALL,
        "legend.frameon": False,
        "hatch.linewidth": 0.7,
        "lines.solid_capstyle": "butt",
    }
    with matplotlib_parts().own_settings(settings):
        yield


class Sheet:
    """A figure whose parts are placed in inches, from its upper left corner.

    Args:
        width, height: In inches.

    Attributes:
        figure: The `matplotlib.figure.Figure`.
    """

    def __init__(self, width, height):
        self.width, self.height = width, height
        parts = matplotlib_parts()
        self.figure = parts.new_canvas((width, height), _ON_SCREEN)

    def axes(self, left, top, width, height, **arguments):
        """New axes at a place."""
        bottom = self.height - top - height
        return self.figure.add_axes(
            (
                left / self.width,
                bottom / self.height,
                width / self.width,
                height / self.height,
            ),
            **arguments,
        )

    def text(self, left, top, text, **arguments):
        """Text whose upper left corner is at a place."""
        arguments = {"va": "top", "ha": "left", **arguments}
        return self.figure.text(
            left / self.width, 1 - top / self.height, text, **arguments
        )

    def heading(self, left, title, lines, theme):
        """A title, and lines of text below it."""
        self.text(left, 0.14, title, fontsize=_LARGE, weight="bold")
        for index, line in enumerate(lines):
            top = 0.38 + 0.17 * index
            self.text(left, top, line, fontsize=_SMALL, color=theme.muted)


def text_width(texts, size=_SMALL, **arguments):
    """Width in inches of the widest of some texts.

    Args:
        texts: Strings.
        size: Of the letters, in points.
        **arguments: Further ones of a text.
    """
    figure = matplotlib_parts().new_canvas((1, 1), _ON_SCREEN)
    renderer = figure.canvas.get_renderer()
    widths = [
        figure.text(0, 0, text, fontsize=size, **arguments)
        .get_window_extent(renderer)
        .width
        for text in set(texts)
        if text
    ]
    return max(widths, default=0) / _ON_SCREEN


def elided(name, most=30):
    """A name with dots in its middle, where it is longer than `most`."""
    if len(name) <= most:
        return name
    # Ends tell layers apart: they have the numbers.
    end = 2 * most // 3
    return f"{name[: most - end - 1]}…{name[-end:]}"


def check_ending(path, endings):
    """Refuses a path whose ending names no format that can be written.

    Args:
        path: Path of a file, or None.
        endings: Those that can be.
    """
    if path is None:
        return
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(
            "Argument `path` must be the path of a file to write, or None. "
            f"Received: path={path!r} of type {type(path).__name__}. Pass "
            "either the model or its history; both know the same."
        )
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in endings:
        raise ValueError(
            f"Argument `path` must end in one of {', '.join(endings)}: the "
            f"ending says which format is written. Received: path={path!r}"
        )


PICTURES = (".png", ".svg", ".pdf", ".jpg", ".webp")


def save(figure, path):
    """Writes a figure, whole or not at all, if there is a path."""
    if path is not None:
        with new_aside(path, overwrite=True) as aside:
            figure.savefig(aside, dpi=_IN_FILE)

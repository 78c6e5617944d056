"""A figure that notebooks show. Only this module imports matplotlib."""

import contextlib
import io

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure that pyplot does not know, and that notebooks show once.

    A notebook shows figures that pyplot keeps, in addition to those that a
    cell returns; and figures that are returned alone only after pyplot has
    been imported.
    """

    def _repr_png_(self):
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", facecolor=self.get_facecolor())
        return buffer.getvalue()


@contextlib.contextmanager
def own_settings(settings):
    """Inside, matplotlib has its own settings and some given ones.

    So pictures look alike, whatever style a user has set, and that stays.
    """
    with style.context(["default", settings]):
        yield


def new_canvas(size, resolution):
    """A new figure, with a canvas that makes pixels.

    Args:
        size: Width and height in inches.
        resolution: Pixels of an inch.
    """
    figure = ShownFigure(figsize=size, dpi=resolution)
    FigureCanvasAgg(figure)
    return figure

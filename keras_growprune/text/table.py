"""Tables for the terminal, in the look of `keras.Model.summary`."""

import io

import rich.box
import rich.console
import rich.table
import rich.text

from keras_growprune.text.encoding import can_show

# Tables are as wide as they are, whatever the window.
_WIDTH = 10_000


def table(header, rows, totals=(), left=1):
    """Renders a table.

    Args:
        header: Titles of the columns.
        rows: List of rows of strings.
        totals: Rows below a further rule. Defaults to none.
        left: How many of the first columns are aligned to the left. Defaults
            to 1; the others, numbers, are to the right.

    Returns:
        The table as text.
    """
    box = rich.box.SQUARE if can_show("┌┬┐│├┼┤└┴┘─") else rich.box.ASCII2
    grid = rich.table.Table(box=box)
    for index, name in enumerate(header):
        side = "left" if index < left else "right"
        grid.add_column(rich.text.Text(name), justify=side, no_wrap=True)
    for part in (rows, totals):
        grid.add_section()
        for row in part:
            grid.add_row(*map(rich.text.Text, row))
    text = io.StringIO()
    console = rich.console.Console(
        file=text,
        width=_WIDTH,
        color_system=None,
        legacy_windows=False,
        # In a notebook it would show the table at once, and return nothing.
        force_jupyter=False,
    )
    console.print(grid)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

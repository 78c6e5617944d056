"""Tables and numbers for the terminal."""


def table(header, rows, totals=(), left=1):
    """Renders a table.

    Args:
        header: Titles of the columns.
        rows: List of rows of strings.
        totals: Rows below a second rule. Defaults to none.
        left: How many of the first columns are aligned to the left. Defaults
            to 1; the others, numbers, are to the right.

    Returns:
        The table as text.
    """
    every = [header, *rows, *totals]
    lengths = [max(map(len, column)) for column in zip(*every)]
    rule = "-" * (sum(lengths) + 2 * (len(lengths) - 1))

    def line(row):
        cells = [
            cell.ljust(length) if index < left else cell.rjust(length)
            for index, (cell, length) in enumerate(zip(row, lengths))
        ]
        return "  ".join(cells).rstrip()

    lines = [line(header), rule, *map(line, rows)]
    if totals:
        lines += [rule, *map(line, totals)]
    return "\n".join(lines)


def count_text(count):
    """A count such as `1,387`, or `-` for None."""
    return "-" if count is None else f"{count:,.0f}"


def size_text(count):
    """Bytes such as `79.9 kB`; 1 kB is 1,000 bytes."""
    if count < 1000:
        return f"{count} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"


def shape_text(shape):
    """A shape such as `(any, 8, 8, 3)`."""
    sizes = ["any" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)})"

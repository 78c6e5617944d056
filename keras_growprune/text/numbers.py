"""Numbers for people."""


def count_text(count):
    """A count such as `1,387`, or `-` for None."""
    return "-" if count is None else f"{count:,.0f}"


def counted(count, word):
    """A count with its noun, such as `1 epoch` or `2 epochs`."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


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

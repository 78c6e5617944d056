"""The line of a long error that tells what is wrong."""


def first_line(text):
    """The first line that is not empty."""
    lines = (line.strip() for line in str(text).split("\n"))
    return next((line for line in lines if line), "")


def last_line(text):
    """The last line that is not empty: what Python ends an error with."""
    lines = [line.strip() for line in str(text).split("\n")]
    return next((line for line in reversed(lines) if line), "")

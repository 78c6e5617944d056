"""What the terminal can show."""

import sys


def can_show(characters):
    """Whether standard output can write some characters.

    A console of Windows, or a pipe, may know ASCII or an old code page only,
    and would end the program at the first other character.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        characters.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True

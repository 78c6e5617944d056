"""What a command of the shell is."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of the shell.

    Attributes:
        name: Its name.
        files: Names of the files that it takes, as its help shows them.
        summary: What it does, in one line.
        details: What else there is to know, in a few sentences.
        define_flags: Function that defines its flags in a `FlagValues`.
        run: Function of the list of paths and of the parsed `FlagValues`. It
            prints, and returns the exit status; None is 0.
        takes_more: Whether further files may follow.
    """

    name: str
    files: tuple
    summary: str
    details: str
    define_flags: Callable
    run: Callable
    takes_more: bool = False

    @property
    def form(self):
        """Its name and files, such as `compact FILE OUTPUT`."""
        more = ["..."] * self.takes_more
        return " ".join([self.name, *self.files, *more])

    def takes(self, count):
        """Whether it takes so many files."""
        fewest = len(self.files)
        return count >= fewest if self.takes_more else count == fewest

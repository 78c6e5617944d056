"""The tool for the shell: `python -m keras_growprune COMMAND FILE ...`.

Each command is a module with a `Command`, its flags among it. Importing this
defines no flag of absl's: each run of a command has a `FlagValues` of its own.
"""

from keras_growprune.command_line.dispatch import main

__all__ = ["main"]

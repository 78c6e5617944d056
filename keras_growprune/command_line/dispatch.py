"""Finds the command, reads its flags, and turns errors into one message."""

import sys

from absl import app
from absl import flags

from keras_growprune.command_line import compact
from keras_growprune.command_line import compare
from keras_growprune.command_line import diff
from keras_growprune.command_line import export
from keras_growprune.command_line import report
from keras_growprune.command_line import verify
from keras_growprune.command_line.help_text import help_of_all
from keras_growprune.command_line.help_text import help_of_command
from keras_growprune.command_line.help_text import usage

COMMANDS = {
    each.COMMAND.name: each.COMMAND
    for each in (report, compact, export, verify, compare, diff)
}
_FAILED, _WRONG_USAGE = 1, 2
_HELP = ("--help", "-h", "help")


def main(arguments=None):
    """Runs a command of the shell.

    Args:
        arguments: List of strings: the command, its files and flags. Defaults
            to `None`: what this process was started with.

    Returns:
        The exit status: 0, 1 where something failed (or a file does not answer
        like its network), 2 for wrong usage. Messages go to stderr.

    Example:

    ```python
    keras_growprune.command_line.main(["report", "grown.keras"])
    ```
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    name, *rest = [str(each) for each in arguments] or [""]
    if name in _HELP:
        print(help_of_all(COMMANDS.values()))
        return 0
    command = COMMANDS.get(name)
    if command is None:
        wrong = f"unknown command: {name}" if name else "no command given"
        return _wrong_usage(wrong, help_of_all(COMMANDS.values()))
    options = _flags(command)
    try:
        files = options([name, *rest])[1:]
        if options.help:
            print(help_of_command(command, options))
            return 0
        if not command.takes(len(files)):
            raise app.UsageError(
                f"{name} takes {_expected(command)}, not {len(files)}"
            )
        return command.run(files, options) or 0
    except (app.UsageError, flags.Error) as error:
        return _wrong_usage(error, usage(command))
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"error: {_text(error)}", file=sys.stderr)
        return _FAILED


def _flags(command):
    options = flags.FlagValues()
    flags.DEFINE_boolean(
        "help", False, "Prints this.", short_name="h", flag_values=options
    )
    command.define_flags(options)
    return options


def _expected(command):
    count = len(command.files)
    files = f"{count} file" + "s" * (count > 1)
    return files + " or more" * command.takes_more


def _wrong_usage(wrong, text):
    print(f"error: {wrong}\n{text}", file=sys.stderr)
    return _WRONG_USAGE


def _text(error):
    """An error's message, without the number that it may have."""
    if isinstance(error, OSError) and error.strerror and not error.filename:
        return error.strerror
    return str(error)

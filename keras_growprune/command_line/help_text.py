"""What `--help` prints."""

import textwrap

from absl import flags

_START = "python -m keras_growprune"
_WIDTH = 80


def usage(command):
    """How a command is called, in two lines."""
    return (
        f"usage: {_START} {command.form} [flags]\n"
        f"`{_START} {command.name} --help` lists the flags."
    )


def help_of_all(commands):
    """All commands, a line each."""
    commands = list(commands)
    width = max(len(command.form) for command in commands)
    lines = [f"usage: {_START} COMMAND FILE ... [flags]", ""]
    lines += [
        f"  {command.form.ljust(width)}  {command.summary}"
        for command in commands
    ]
    lines += ["", f"`{_START} COMMAND --help` tells more of a command."]
    return "\n".join(lines)


def help_of_command(command, options):
    """What a command does, and its flags.

    Args:
        command: The `Command`.
        options: Its `FlagValues`.
    """
    lines = [f"usage: {_START} {command.form} [flags]", ""]
    lines += textwrap.wrap(f"{command.summary} {command.details}", _WIDTH)
    lines += ["", "flags:"]
    theirs = sorted({options[name].name for name in options} - {"help"})
    indent = " " * 6
    for name in [*theirs, "help"]:
        lines.append(f"  {_form(options[name])}")
        lines += textwrap.wrap(
            _text(options[name]),
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
        )
    return "\n".join(lines)


def _text(flag):
    """A flag's help, without what absl adds to it about its kind."""
    values = getattr(flag.parser, "enum_values", None)
    text = flag.help.removeprefix(f"<{'|'.join(values)}>: " if values else "")
    return text.split(";\n")[0]


def _form(flag):
    """How a flag is written, such as `--opset=NUMBER`."""
    if flag.boolean:
        return f"--no{flag.name}" if flag.default else f"--{flag.name}"
    values = getattr(flag.parser, "enum_values", None)
    if values:
        value = "|".join(values)
    elif isinstance(flag.parser, flags.ListParser):
        value = ",".join(flag.default)
    elif isinstance(flag.parser, (flags.IntegerParser, flags.FloatParser)):
        value = "NUMBER"
    else:
        value = "MODULE" if isinstance(flag, flags.MultiFlag) else "FILE"
    return f"--{flag.name}={value}"

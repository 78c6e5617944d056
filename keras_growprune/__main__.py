"""`python -m keras_growprune COMMAND FILE ...`: see `command_line`."""

from absl import app
from absl import flags
from absl import logging

from keras_growprune import command_line


def _run(arguments):
    logging.set_verbosity(logging.ERROR)  # results, not advice
    return command_line.main(arguments[1:])


def _leave_all(arguments):
    """Commands have flags of their own; none of absl's are looked for."""
    # A module that `--import` names may define some, and read them.
    flags.FLAGS.mark_as_parsed()
    return arguments


if __name__ == "__main__":
    app.run(_run, flags_parser=_leave_all)

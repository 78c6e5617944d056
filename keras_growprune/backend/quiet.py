"""What TensorFlow says of things that nobody here can do otherwise."""

import contextlib
import logging

_LOGGERS = ("absl", "tensorflow")


@contextlib.contextmanager
def quiet_logs():
    """Inside, TensorFlow's Python code logs errors only.

    Converters warn of arguments that their caller is to give, and functions
    of being traced anew, where each network is another one; a user can do
    nothing about either.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(max(logger.getEffectiveLevel(), logging.ERROR))
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)

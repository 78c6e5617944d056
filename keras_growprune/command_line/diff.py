"""`diff BEFORE AFTER`: what came and left between two checkpoints."""

from keras_growprune.command_line.command import Command
from keras_growprune.training import diff


def _run(files, options):
    before, after = files
    print(diff(before, after))


def _define_flags(options):
    pass


COMMAND = Command(
    name="diff",
    files=("BEFORE", "AFTER"),
    summary="Shows which units and layers came and left.",
    details="BEFORE and AFTER are files that one growing model wrote at two "
    "moments (`.keras`, `.weights.h5`). They are not built, so layers of your "
    "own need no --import.",
    define_flags=_define_flags,
    run=_run,
)

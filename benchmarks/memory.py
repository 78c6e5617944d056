"""Peak memory of this process, where Linux tells."""

import math
import pathlib

_PROCESS = pathlib.Path("/proc/self")


def forget_peak():
    """Starts to look for a new peak."""
    try:
        (_PROCESS / "clear_refs").write_text("5")
    except OSError:  # other systems, or not allowed
        pass


def resident_mib():
    """Resident memory at present, in MiB, or None."""
    return _field("VmRSS:")


def peak_mib():
    """Largest resident memory since `forget_peak`, in MiB, or None."""
    return _field("VmHWM:")


def _field(name):
    try:
        lines = (_PROCESS / "status").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(name):
            return math.ceil(int(line.split()[1]) / 1024)
    return None

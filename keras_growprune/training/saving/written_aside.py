"""Files that appear whole or not at all."""

import contextlib
import os
import secrets
import shutil


@contextlib.contextmanager
def written_aside(filepath):
    """Inside, a file is written beside its place; at the end it moves there.

    So a crash or a full disk in the middle leaves what was there before. What
    cannot be moved in one step is written in place: folders, devices, paths
    of remote file systems.

    Args:
        filepath: Where the file is to be.

    Yields:
        The path to write to.

    Raises:
        OSError: If it cannot be written.
    """
    name = os.path.basename(str(filepath))
    target = os.path.realpath(str(filepath))  # a link stays one
    is_local = name.endswith((".keras", ".h5")) and "://" not in str(filepath)
    is_free = os.path.isfile(target) or not os.path.exists(target)
    if not (is_local and is_free):
        yield filepath
        return
    aside = f".{secrets.token_hex(4)}.{name}"
    aside = os.path.join(os.path.dirname(target), aside)
    try:
        yield aside
        _finish(aside, target)
    except OSError as error:
        text = (
            f"Could not write `{filepath}`: {error}. A file that was there "
            "before is untouched."
        )
        number = getattr(error, "errno", None)
        raise OSError(*([number] if number else []), text) from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(aside)


def _finish(aside, target):
    with open(aside, "rb+") as file:
        os.fsync(file.fileno())  # before a crash of the machine, too
    if os.path.exists(target):
        shutil.copymode(target, aside)
    os.replace(aside, target)

"""Files and folders that appear whole or not at all."""

import contextlib
import os
import pathlib
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


# What the folder of a SavedModel has in it.
_SAVED_MODEL = (
    "assets",
    "assets.extra",
    "fingerprint.pb",
    "keras_metadata.pb",
    "saved_model.pb",
    "variables",
)


@contextlib.contextmanager
def new_aside(path, overwrite=False):
    """Inside, a new file or folder is written beside its place.

    At the end it moves there. If anything breaks it off, all is as it was
    before: nothing half-written is left, no folder that was made for it, and
    what was to be overwritten is there.

    Args:
        path: Where it is to be. Missing folders above it are made.
        overwrite: Whether to take the place of what is there.

    Yields:
        A `pathlib.Path` to write to, of the same ending.

    Raises:
        FileExistsError: If something is there and is not to be overwritten,
            or is a folder of other things.
        OSError: If it cannot be written.
    """
    target = pathlib.Path(os.path.abspath(path))
    if os.path.islink(target):  # a link stays one
        target = pathlib.Path(os.path.realpath(target))
    _check_free(path, target, overwrite)
    made = []
    # In a folder beside it, whose name does not change the file's own.
    room = target.parent / f".{secrets.token_hex(4)}.part"
    try:
        for folder in reversed([room, *room.parents]):
            if not folder.exists():
                folder.mkdir()
                made.append(folder)
        yield room / target.name
        _check_free(path, target, overwrite)  # by now somebody may be there
        _move(room / target.name, target, room / "before")
        made = []
    except FileExistsError:
        raise
    except OSError as error:
        raise type(error)(
            *([error.errno] if error.errno else []),
            f"Could not write `{path}`: {error}. Nothing was left there, and "
            "what was there before is untouched. Check that the folder may be "
            "written to and that its disk has room.",
        ) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _check_free(path, target, overwrite):
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise FileExistsError(
            f"There is something at `{path}` already. Expected: a path where "
            "nothing is. Pass `overwrite=True` to replace it, or choose "
            "another path."
        )
    # Files of a user's are not ours to remove.
    inside = () if target.is_file() else target.iterdir()
    if any(each.name not in _SAVED_MODEL for each in inside):
        raise FileExistsError(
            f"The folder `{path}` has other things than a SavedModel in it. "
            "Expected: a path where nothing is, or an exported file or "
            "folder. Choose another path."
        )


def _move(aside, target, before):
    """Moves something to its place; a folder takes that of another one."""
    if not os.path.lexists(target):
        os.rename(aside, target)
        return
    if not (aside.is_dir() or target.is_dir()):
        os.replace(aside, target)
        return
    os.rename(target, before)
    try:
        os.rename(aside, target)
    except BaseException:
        os.rename(before, target)
        raise

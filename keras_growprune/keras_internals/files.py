"""What Keras does when it writes files."""

import os


def may_write(filepath, overwrite):
    """Whether a file may be written, as Keras asks where there is one.

    Args:
        filepath: The path.
        overwrite: Whether to overwrite it without asking.
    """
    if overwrite or not os.path.exists(filepath):
        return True
    from keras.src.utils import io_utils

    return io_utils.ask_to_proceed_with_overwrite(filepath)


def weights_file(model):
    """The content of a `.weights.h5` file.

    Where HDF5 itself writes to a disk that is full, it ends the process.

    Args:
        model: A built `keras.Model`.

    Returns:
        The bytes.
    """
    from keras.src.saving import saving_lib

    memory = _Memory()
    store = saving_lib.H5IOStore("weights.h5", archive=memory, mode="w")
    saving_lib._save_state(
        model,
        weights_store=store,
        assets_store=None,
        inner_path="",
        visited_saveables=set(),
    )
    store.close()
    return memory.content


class _Memory:
    """An archive of one file, as far as Keras writes to it."""

    def writestr(self, name, content):
        self.content = content


def writes_legacy_file():
    """Whether this thread writes a legacy HDF5 file just now."""
    from keras.src.backend.common import global_state

    return bool(global_state.get_global_attribute("use_legacy_config"))

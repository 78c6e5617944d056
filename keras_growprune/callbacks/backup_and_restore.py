"""A callback by which a run that was broken off goes on where it was."""

import contextlib
import hashlib
import io
import json
import os
import re
import warnings

import h5py
import keras
import numpy as np

from keras_growprune import backend
from keras_growprune import keras_internals
from keras_growprune.files import written_aside

# Epochs trained so far, and what the content's checksum is.
_NAME = re.compile(r"backup-(\d+)-([0-9a-f]{16})\.weights\.h5")
_LEFT_OVER = re.compile(r"\.[0-9a-f]{8}\." + _NAME.pattern)
_RUN = "keras_growprune_run"


class BackupAndRestore(keras.callbacks.Callback):
    """Backs up a run after each epoch, and lets it go on when started anew.

    In place of `keras.callbacks.BackupAndRestore`: a run that is killed at
    any moment and started again by the same command ends with the structure,
    weights and metrics of one that was never interrupted. A backup appears
    whole or not at all and has its checksum in its name; one that was damaged
    later on is left out with a warning, and the one before is taken.

    What it restores: weights, structure, all that growing remembers, the
    optimizers, the epoch, and the random numbers of Python, NumPy and Keras.
    Not what other callbacks remember, nor the place of a data set that
    shuffles itself (`tf.data.Dataset.shuffle`), which begins anew; arrays are
    shuffled as before. The `History` has the epochs since the restart.

    Args:
        backup_dir: Path of a local folder for the backups of this run alone.
            It is made where it is missing.
        save_freq: `"epoch"`, the default and all that there is. A run cannot
            go on from within an epoch as if nothing had been.
        double_checkpoint: Whether to keep the last two backups, rather than
            one. Defaults to `True`.
        delete_checkpoint: Whether to remove the backups when `fit` is
            finished. Defaults to `True`. What comes after `fit` may be broken
            off too: with `False`, call `delete` once the result is written.

    Of several workers (`MultiWorkerMirroredStrategy`) the chief writes, and all
    go on with its latest backup: the folder must be one that all of them see.

    Attributes:
        restored_epoch: The epoch that the run went on with, 0 where there was
            no backup.

    Raises:
        ValueError: If an argument is invalid, or a backup is of another
            network, or of a run that has had more epochs than are asked for.
        OSError: If a backup cannot be written; those before are untouched. Or
            if a worker cannot read the backup that the chief goes on with.

    Example:

    ```python
    backup = kgp.callbacks.BackupAndRestore("backups/run_1")
    model.fit(images, labels, epochs=100, callbacks=[backup])
    backup.restored_epoch  # 0
    ```
    """

    def __init__(
        self,
        backup_dir,
        save_freq="epoch",
        double_checkpoint=True,
        delete_checkpoint=True,
    ):
        super().__init__()
        if not backup_dir or "://" in str(backup_dir):
            raise ValueError(
                "Argument `backup_dir` must be the path of a local folder. "
                f"Received: backup_dir={backup_dir!r}"
            )
        if save_freq != "epoch":
            raise ValueError(
                "Argument `save_freq` must be 'epoch': a run that goes on from "
                "within an epoch is another one. Received: "
                f"save_freq={save_freq!r}. For more frequent backups, give "
                "`fit` a smaller `steps_per_epoch` and more epochs."
            )
        self.backup_dir = str(backup_dir)
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self.restored_epoch = 0
        self._kept = []

    def on_train_begin(self, logs=None):
        self.restored_epoch, self._kept = 0, []
        replicas = backend.replicas_of(self.model)
        found = self._latest() if replicas.is_chief else None
        name = replicas.exchange((found or "").encode())[0].decode()
        if not name:
            return
        content = self._content(name)
        told = replicas.exchange(b"" if content is None else b"has it")
        missing = [index for index, each in enumerate(told) if not each]
        if missing:
            raise OSError(
                f"Backup {name} cannot be read by all workers. Expected: a "
                "folder that all of them see. Received: backup_dir="
                f"{self.backup_dir!r}, where it is missing for worker "
                f"{', '.join(map(str, missing))}. Use a shared folder."
            )
        self._restore(name, content)

    def _latest(self):
        """Name of the newest backup that is whole, or None."""
        self._remove(_LEFT_OVER)
        backups = sorted(self._matching(_NAME), reverse=True)
        for name in backups:
            if self._content(name) is not None:
                return name
        if backups:
            warnings.warn(
                f"No backup in {self.backup_dir} is whole: the run begins "
                "anew.",
                stacklevel=3,
            )
        return None

    def on_epoch_begin(self, epoch, logs=None):
        # Keras would begin later calls of `fit` with it, too.
        keras_internals.start_at_epoch(self.model, 0)

    def on_epoch_end(self, epoch, logs=None):
        if not backend.replicas_of(self.model).is_chief:
            return
        os.makedirs(self.backup_dir, exist_ok=True)
        content = _with_run(self.model, epoch + 1)
        name = f"backup-{epoch + 1:06d}-{_checksum(content)}.weights.h5"
        path = os.path.join(self.backup_dir, name)
        with written_aside(path) as aside, open(aside, "wb") as file:
            file.write(content)
        kept = [each for each in self._kept if each != name] + [name]
        self._kept = kept[-2 if self.double_checkpoint else -1 :]
        self._remove(_NAME, but=self._kept)

    def on_train_end(self, logs=None):
        keras_internals.start_at_epoch(self.model, 0)
        is_chief = backend.replicas_of(self.model).is_chief
        if self.delete_checkpoint and is_chief:
            self.delete()

    def delete(self):
        """Removes the backups, and their folder unless others use it.

        Of several workers, one is enough.
        """
        # The newest last: a run that is killed here has ended all the same.
        self._remove(_NAME, but=self._kept[-1:])
        self._remove(_NAME)
        with contextlib.suppress(OSError):  # with what others put there
            os.rmdir(self.backup_dir)

    def _restore(self, name, content):
        with h5py.File(io.BytesIO(content), "r") as file:
            run = json.loads(bytes(np.array(file[_RUN])))
        epochs = (self.params or {}).get("epochs")
        if epochs is not None and epochs < run["epoch"]:
            raise ValueError(
                f"Backup {name} in {self.backup_dir} is of a run that has had "
                f"{run['epoch']} epochs. Expected: `epochs` of at least as "
                f"many. Received: epochs={epochs}. Ask for more, or give "
                "another `backup_dir` for another run."
            )
        optimizer = self.model.optimizer
        if optimizer is not None and not optimizer.built:
            with backend.replicas_of(self.model).scope():
                optimizer.build(self.model.trainable_variables)
        self.model.load_weights(os.path.join(self.backup_dir, name))
        for variable, value in zip(
            keras_internals.seed_states(self.model), run["seeds"]
        ):
            variable.assign(value)
        keras_internals.set_random_state(run["random"])
        keras_internals.start_at_epoch(self.model, run["epoch"])
        self.restored_epoch, self._kept = run["epoch"], [name]

    def _content(self, name):
        """The bytes of a backup, or None and a warning."""
        try:
            with open(os.path.join(self.backup_dir, name), "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return None
        if _checksum(content) == _NAME.fullmatch(name)[2]:
            return content
        warnings.warn(
            f"Backup {name} in {self.backup_dir} is damaged: it is not what "
            "was written. The one before is used, if there is one.",
            stacklevel=3,
        )
        return None

    def _matching(self, pattern):
        """Names of our own files."""
        try:
            names = os.listdir(self.backup_dir)
        except FileNotFoundError:
            return []
        return [name for name in names if pattern.fullmatch(name)]

    def _remove(self, pattern, but=()):
        for name in sorted(self._matching(pattern)):
            if name not in but:
                os.remove(os.path.join(self.backup_dir, name))


def _checksum(content):
    return hashlib.sha256(content).hexdigest()[:16]


def _with_run(model, epoch):
    """A weights file that also tells how to go on."""
    seeds = keras_internals.seed_states(model)
    run = {
        "epoch": epoch,
        "random": keras_internals.random_state(),
        "seeds": [each.numpy().tolist() for each in seeds],
    }
    memory = io.BytesIO(keras_internals.weights_file(model))
    with h5py.File(memory, "r+") as file:
        text = json.dumps(run).encode()
        file[_RUN] = np.frombuffer(text, dtype="uint8")
    return memory.getvalue()

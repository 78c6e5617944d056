"""Growing in TensorBoard's pages."""

import importlib.util
import os

import keras
import numpy as np

from keras_growprune.training import growing_model
from keras_growprune.visualization import plot_structure


class GrowthTensorBoard(keras.callbacks.TensorBoard):
    """What `keras.callbacks.TensorBoard` writes, and how the network grows.

    Use it in its place. After each epoch it adds, in the runs `growth` and
    `schedule` of the folder:

    - `growth/cost`, a fraction of the full network's, in the same chart as
      what the schedule allows; `growth/flops`, `growth/params`;
    - `growth/price`, the worth per cost at which the last unit was bought or
      sold, and `growth/gated_layers`, how many are in the network;
    - `growth/training_flops`, what training has cost so far, as a fraction of
      what the full network would have, and `growth/seconds_saved`, as
      `Ledger.estimated_seconds_saved` tells them;
    - `widths/...`, the width of each group;
    - the structure as a picture and as a table, whenever it has changed.

    Args:
        log_dir: Path of the folder.
        pictures: Whether the structure is drawn. Defaults to `True`, which
            needs matplotlib.
        **kwargs: As in `keras.callbacks.TensorBoard`.

    Raises:
        ImportError: If TensorBoard is not installed; the extra `[viz]` brings
            it, and matplotlib.
        ValueError: If the model that is trained is no `GrowPruneModel` and
            has none inside.

    Example:

    ```python
    board = kgp.callbacks.GrowthTensorBoard("logs")
    model.fit(images, labels, epochs=20, callbacks=[board])
    # Then, in a shell: tensorboard --logdir logs
    ```
    """

    def __init__(self, log_dir="logs", pictures=True, **kwargs):
        if importlib.util.find_spec("tensorboard") is None:
            raise ImportError(
                "`GrowthTensorBoard` needs TensorBoard, which is not "
                "installed. Run `pip install tensorboard matplotlib pillow`, "
                "the packages of the extra `keras_growprune[viz]`."
            )
        super().__init__(log_dir=log_dir, **kwargs)
        self._pictures = pictures
        self._growing = self._shown = None

    def set_model(self, model):
        self._growing = growing_model(model)
        super().set_model(model)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        folder = os.fspath(self.log_dir)
        self._growth, self._schedule = (
            self.summary.create_file_writer(os.path.join(folder, name))
            for name in ("growth", "schedule")
        )
        self._shown = None

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        ledger = self._growing.ledger
        if not ledger.epochs:  # no training step yet
            return
        record = ledger.epochs[-1]
        with self._schedule.as_default(step=epoch):
            self.summary.scalar("growth/cost", record["target"])
        with self._growth.as_default(step=epoch):
            for name in ("cost", "flops", "params", "price"):
                self._write(f"growth/{name}", record[name])
            channel_map = self._growing._growth.blueprint.map
            gates = np.array(record["gates"], dtype=bool)
            live = channel_map.live_gates(gates)
            self._write("growth/gated_layers", int(live.sum()))
            spent = ledger.relative_training_flops()
            self._write("growth/training_flops", spent)
            saved = ledger.estimated_seconds_saved()
            self._write("growth/seconds_saved", saved)
            widths = channel_map.live_widths(record["units"], gates)
            for group, width in zip(self._growing.groups, widths):
                self._write(f"widths/{group.name}", int(width))
            if self._shown != self._growing.structure:
                self._show_structure()

    def _write(self, name, value):
        if np.isfinite(value):
            self.summary.scalar(name, value)

    def _show_structure(self):
        self._shown = self._growing.structure
        lines = []
        self._growing.structure_summary(print_fn=lines.append)
        text = "\n".join(lines).replace("\n", "\n    ")
        # Indented: as it is, in Markdown.
        self.summary.text("structure/table", f"    {text}")
        if self._pictures:
            figure = plot_structure(self._growing)
            figure.canvas.draw()
            pixels = np.asarray(figure.canvas.buffer_rgba())
            self.summary.image("structure/picture", pixels[None])

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        self._growth.close()
        self._schedule.close()

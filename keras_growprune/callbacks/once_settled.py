"""A callback that waits until the structure is final."""

import keras


class OnceSettled(keras.callbacks.Callback):
    """Lets another callback see only epochs of the settled network.

    While a network grows it may cost more than its budget, and its accuracy
    says little about what it will be. A callback that compares epochs would
    keep one of those, or stop the run before the network is what was asked
    for.

    Args:
        callback: A `keras.callbacks.Callback`. It sees the beginning and the
            end of training in any case; epochs, batches and evaluations only
            where the epoch began with the settled structure. With a model
            that does not grow it sees all of them.

    Raises:
        ValueError: If `callback` is no `keras.callbacks.Callback`.

    Example:

    ```python
    best = keras.callbacks.ModelCheckpoint(
        "best.keras", monitor="val_accuracy", save_best_only=True
    )
    model.fit(
        images,
        labels,
        epochs=30,
        validation_data=(test_images, test_labels),
        callbacks=[kgp.callbacks.OnceSettled(best)],
    )
    keras.models.load_model("best.keras").settled  # True
    ```
    """

    def __init__(self, callback):
        super().__init__()
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(
                "Argument `callback` must be a `keras.callbacks.Callback`. "
                f"Received: callback={callback!r}"
            )
        self.callback = callback
        # An epoch belongs to the structure that it began with.
        self._is_settled = False

    def set_params(self, params):
        super().set_params(params)
        self.callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        self.callback.set_model(model)
        self._is_settled = bool(getattr(model, "settled", True))

    def on_train_begin(self, logs=None):
        self.callback.on_train_begin(logs)

    def on_train_end(self, logs=None):
        self.callback.on_train_end(logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._is_settled = bool(getattr(self.model, "settled", True))
        if self._is_settled:
            self.callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        if self._is_settled:
            self.callback.on_epoch_end(epoch, logs)


def _passed_on(name):
    def event(self, *args, **kwargs):
        if self._is_settled:
            getattr(self.callback, name)(*args, **kwargs)

    event.__name__ = name
    return event


for _kind in ("train", "test", "predict"):
    for _when in ("batch_begin", "batch_end", "begin", "end"):
        _name = f"on_{_kind}_{_when}"
        if _name not in vars(OnceSettled):
            setattr(OnceSettled, _name, _passed_on(_name))

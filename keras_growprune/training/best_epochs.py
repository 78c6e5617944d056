"""Says which epochs callbacks have kept, where they are above the budget."""

import warnings

import keras


class BestEpochs(keras.callbacks.Callback):
    """Warns at the end of a run that kept an epoch above the budget.

    The best epoch by a metric may be one of a larger network, before the
    structure was settled.

    Args:
        controller: The `GrowthController`.
        callbacks: The callbacks of this call of `fit`.
    """

    def __init__(self, controller, callbacks):
        super().__init__()
        self._controller = controller
        self._watched = [
            callback
            for callback in callbacks
            if isinstance(callback, keras.callbacks.ModelCheckpoint)
            and callback.save_best_only
        ]
        self._best, self._kept, self._now = {}, {}, None

    def on_train_begin(self, logs=None):
        self._best = {id(each): each.best for each in self._watched}
        self._kept, self._now = {}, None

    def on_epoch_begin(self, epoch, logs=None):
        self._look()

    def on_epoch_end(self, epoch, logs=None):
        cost = self._controller.network.fractions()["cost"]
        self._now = epoch, cost, self._controller.state.settled

    def on_train_end(self, logs=None):
        self._look()
        limit = self._controller.blueprint.budget_fraction
        for callback in self._watched:
            if id(callback) not in self._kept:
                continue
            epoch, cost, is_settled = self._kept[id(callback)]
            if is_settled or cost <= limit:
                continue
            warnings.warn(
                f"`ModelCheckpoint` kept epoch {epoch + 1} as the best in "
                f"{callback.filepath}: a network that costs {cost:.3g} of the "
                f"full one, above the budget of {limit:.3g}, since it was not "
                "settled yet. To choose among settled epochs only, wrap the "
                "callback: `kgp.callbacks.OnceSettled(ModelCheckpoint(...))`.",
                stacklevel=2,
            )

    def _look(self):
        """Notes which of them took the epoch that has ended."""
        for callback in self._watched:
            if callback.best != self._best[id(callback)]:
                self._best[id(callback)] = callback.best
                self._kept[id(callback)] = self._now

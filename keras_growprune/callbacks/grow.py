"""A callback that lets a model grow while another one trains it."""

from keras_growprune.training.function_cache import KINDS
from keras_growprune.training.grow_prune_model import GrowPruneModel
from keras_growprune.training.growth_callback import GrowthCallback
from keras_growprune.training.other_trainers.following import Following


class Grow(GrowthCallback):
    """Lets a `GrowPruneModel` grow inside the `fit` of an outer model.

    That may be a `keras.distillation.Distiller`, or any model that calls it
    and trains its variables. The logs of the outer `fit` get the entries that
    its own `fit` would add. Put it in front of callbacks that read them.

    Args:
        model: The `GrowPruneModel`.
        growth_epochs: Positive integer, length of the whole run in epochs.
            Defaults to `None`: the epochs trained so far plus those of the
            outer `fit`. Give it when you call that in pieces.
        growth_line: As in `GrowPruneModel.fit`. Defaults to `"auto"`.

    Raises:
        ValueError: If `model` is no `GrowPruneModel`, `growth_line` is
            unknown, or the `fit` that the callback is given to is that of
            `model` itself.

    Example:

    ```python
    student = kgp.growable(network, kgp.Budget(flops=0.5))
    distiller = keras.distillation.Distiller(
        trained,  # the teacher
        student,
        distillation_losses=keras.distillation.LogitsDistillation(),
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    distiller.compile("adam", loss=loss)
    grow = kgp.callbacks.Grow(student)
    distiller.fit(images, labels, epochs=20, callbacks=[grow])
    student.settled  # True
    small = student.compact()
    ```
    """

    def __init__(self, model, growth_epochs=None, growth_line="auto"):
        if not isinstance(model, GrowPruneModel):
            raise ValueError(
                "Argument `model` must be the `GrowPruneModel` that shall "
                f"grow. Received: model={model!r}"
            )
        super().__init__(model._growth, growth_line)
        self._growing, self._growth_epochs = model, growth_epochs
        self._is_first = True

    def on_train_begin(self, logs=None):
        outer, growth = self.model, self._controller
        if outer is self._growing:
            raise ValueError(
                f"Model `{outer.name}` grows in its own `fit` without this "
                "callback. Expected: the `fit` of a model around it. Leave "
                "the callback out."
            )
        growth.let_others_train(outer.optimizer, outer)
        for kind in KINDS:
            name = f"{kind}_function"
            now = getattr(outer, name)
            if isinstance(now, Following):  # of another part of the model
                growth.functions.let_follow(now)
                continue
            make = _maker(outer, kind)
            setattr(outer, name, growth.functions.following(kind, make))
        self._is_first = True

    def on_epoch_begin(self, epoch, logs=None):
        if self._is_first:  # only here it is known with which one it begins
            growth, epochs = self._controller, self.params["epochs"]
            growth.prepare_run(epochs, epoch, self._growth_epochs)
            super().on_train_begin(logs)
        self._is_first = False
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        if self.has_steps:
            self._controller.others.check_steps()
        super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        self._controller.others.pause()
        self._controller.others.outer = None
        for kind in KINDS:
            setattr(self.model, f"{kind}_function", None)


def _maker(outer, kind):
    """Makes a function of an outer model anew; the model keeps what it has."""
    name = f"{kind}_function"

    def make():
        before = getattr(outer, name)
        getattr(outer, f"make_{name}")(force=True)
        made = getattr(outer, name)
        setattr(outer, name, before)
        return made

    return make

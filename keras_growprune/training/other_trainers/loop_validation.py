"""Refuses, or warns of, trainers from outside that cannot let a model grow."""

import warnings

import keras

from keras_growprune import keras_internals
from keras_growprune.layers.growable import is_count

_HOW = (
    "Pass `callbacks=[kgp.callbacks.Grow(model)]` to the `fit` of the outer "
    "model, or call `model.begin_epoch(...)` and `model.end_epoch(...)` "
    "around each epoch of your own loop"
)


def check_lengths(epochs, steps):
    """Refuses a length of a run, or of an epoch, that is none."""
    if not is_count(epochs):
        raise ValueError(
            "Argument `epochs` must be a positive integer, the length of the "
            f"whole run in epochs. Received: epochs={epochs!r}"
        )
    if steps is not None and not is_count(steps):
        raise ValueError(
            "Argument `steps` must be a positive integer, the training steps "
            f"of an epoch, or None. Received: steps={steps!r}"
        )


def check_optimizer(model, network, optimizer):
    """Refuses an optimizer that cannot train a model from outside.

    Args:
        model: The `GrowPruneModel`.
        network: Its `GrowingNetwork`.
        optimizer: What the user gave.
    """
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(
            "Argument `optimizer` must be the `keras.optimizers.Optimizer` "
            f"that trains model `{model.name}`. Received: "
            f"optimizer={optimizer!r}"
        )
    own = model.optimizer if model.compiled else None
    if own is not None and own.built and own is not optimizer:
        raise ValueError(
            f"Model `{model.name}` was compiled with an optimizer of its own, "
            "whose state could not follow when another one trains it. "
            f"Received: optimizer={optimizer.name!r}. Pass `model.optimizer`, "
            "or compile the model anew: then it has no state yet."
        )
    if network.gates and model.gate_optimizer is not None:
        raise ValueError(
            f"Model `{model.name}` was compiled with a `gate_optimizer`, "
            "which only its own `fit` uses. Expected: none, so that the "
            "logits are trained by the optimizer of the loop. Received: "
            f"gate_optimizer={model.gate_optimizer.name!r}"
        )
    known = {
        id(variable)
        for part in keras_internals.optimizers_in(optimizer)
        for variable in keras_internals.optimizer_variables(part)
    }
    if not optimizer.built:
        return
    missing = [v for v in model.trainable_variables if id(v) not in known]
    if missing:
        raise ValueError(
            "The optimizer must train all trainable variables of model "
            f"`{model.name}`, whose shapes it has to follow. Received: "
            f"optimizer={optimizer.name!r}, built without "
            f"`{missing[0].path}` ({len(missing)} missing). Build it with "
            "`optimizer.build(model.trainable_variables)`; variables of other "
            "models may be among them."
        )


def check_not_in_fit(model, is_fitting):
    """Refuses an epoch within an epoch."""
    if is_fitting:
        raise ValueError(
            f"`begin_epoch` was called inside `fit` of model `{model.name}`, "
            "which begins its epochs itself. Expected: a loop of your own. "
            "Leave the call out."
        )


def check_begun(model, is_begun, name):
    """Refuses what belongs into an epoch that was not begun."""
    if not is_begun:
        raise ValueError(
            f"`{name}` was called on model `{model.name}` without an epoch "
            "that was begun: none was, it was ended before, or `fit` has "
            "trained the model since. Call `model.begin_epoch(...)` before "
            "the steps of each epoch."
        )


def check_steps(model, steps):
    """Refuses a period in which nothing was seen, and nothing measured."""
    if not steps:
        raise ValueError(
            f"No training step of model `{model.name}` was seen since the "
            "epoch began, so nothing is known that it could grow by. "
            "Expected: gradients of `model.trainable_variables`, given to "
            "`apply` or `apply_gradients` of the optimizer that the epoch was "
            "begun with. Received: none. Was another optimizer used, or a "
            "`tf.function` that was traced before the first epoch began? "
            "Make it with `step = model.traced(step)`."
        )


def warn_of_other_trainer(model):
    """Warns that a model is trained from outside and will not grow."""
    name = model.name
    warnings.warn(
        f"Model `{name}` is being trained from outside, by an outer model or "
        "a loop of your own: its structure is not settled, but it will not "
        f"grow or be pruned there. {_HOW}. If its structure shall stay as it "
        "is, call `model.settle()` before.",
        stacklevel=2,
    )

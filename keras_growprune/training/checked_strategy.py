"""Refuses ways to distribute training that cannot work, before it begins."""

import keras

from keras_growprune import backend
from keras_growprune import keras_internals


def check_strategy(strategy=None):
    """Refuses ways to distribute training that nothing can grow in.

    Args:
        strategy: A `tf.distribute.Strategy`. Defaults to `None`: the one in
            whose scope this is called.
    """
    reason = backend.why_strategy_is_refused(strategy)
    if reason is None and keras.distribution.distribution() is not None:
        reason = (
            "`keras.distribution`: it is without effect on Keras's TensorFlow "
            "backend"
        )
    if reason is not None:
        raise ValueError(
            "A growing model is trained on one device, or under a "
            "`tf.distribute` strategy with synchronous replicas. Received: "
            f"{reason}. Use `tf.distribute.MirroredStrategy` for the GPUs of "
            "one machine, `MultiWorkerMirroredStrategy` for several machines, "
            "`TPUStrategy` for TPUs."
        )


def check_distributed_fit(model):
    """Refuses a `fit` that the strategy of a compiled model cannot run.

    Args:
        model: The `GrowPruneModel`.

    Raises:
        ValueError: If model, optimizer and `fit` belong to different
            strategies, or the optimizer does what no replica may do.
    """
    check_strategy(model.distribute_strategy)
    if not keras_internals.was_made_in_its_scope(model):
        raise ValueError(
            f"`fit` of model `{model.name}` was called in the scope of a "
            "`tf.distribute` strategy. Expected: a model that was made in the "
            "same scope. Received: one that was made outside. Make the model "
            "and compile it inside `with strategy.scope():`."
        )
    for optimizer in (model.optimizer, model.gate_optimizer):
        if optimizer is None:
            continue
        for part in keras_internals.optimizers_in(optimizer):
            _check_optimizer(model, part)


def _check_optimizer(model, optimizer):
    strategy = keras_internals.strategy_of_optimizer(optimizer)
    if strategy is not model.distribute_strategy:
        raise ValueError(
            f"Model `{model.name}` was made in the scope of a `tf.distribute` "
            "strategy. Expected: an optimizer made in the same scope. "
            f"Received: optimizer={optimizer.name!r}, made in another one, or "
            "outside. Make it and compile the model inside "
            "`with strategy.scope():`."
        )
    problems = {
        "gradient_accumulation_steps": getattr(
            optimizer, "gradient_accumulation_steps", None
        ),
        "ema_overwrite_frequency": getattr(optimizer, "use_ema", False)
        and optimizer.ema_overwrite_frequency,
    }
    problems = [name for name, value in problems.items() if value]
    if problems and not backend.may_update_conditionally(strategy):
        raise ValueError(
            f"Under `{type(strategy).__name__}`, replicas cannot update "
            "weights in some steps only: TensorFlow lets none wait for the "
            "others inside a condition. Expected: an optimizer without "
            f"`{problems[0]}`. Received: optimizer={optimizer.name!r} with it. "
            "Use a larger batch in the place of accumulated gradients, and "
            "`keras.callbacks.SwapEMAWeights` in that of overwritten weights."
        )

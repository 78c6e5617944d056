"""What there is to know of strategies before anything is made under one."""

import tensorflow as tf

_REFUSED = {
    "ParameterServerStrategy": "its workers train asynchronously, each on "
    "weights of its own, and Keras 3's `fit` does not run on it",
    "CentralStorageStrategy": "its variables are not those of the replicas "
    "that count what happens, and Keras 3 does not support it",
}


def why_strategy_is_refused(strategy=None):
    """Why nothing can grow under a strategy, or None.

    Args:
        strategy: A `tf.distribute.Strategy`. Defaults to `None`: the one in
            whose scope this is called.
    """
    strategy = strategy or tf.distribute.get_strategy()
    for name, reason in _REFUSED.items():
        if is_of(strategy, [name]):
            return f"{name}: {reason}"
    return None


def is_in_scope():
    """Whether this is called in the scope of a strategy."""
    return tf.distribute.has_strategy()


def may_update_conditionally(strategy):
    """Whether replicas may update variables together inside a condition."""
    if strategy.num_replicas_in_sync == 1:
        return True
    with strategy.scope():
        return tf.__internal__.distribute.strategy_supports_no_merge_call()


def is_of(strategy, names):
    """Whether a strategy is of a class that is named like one of these."""
    kinds = [kind.__name__ for kind in type(strategy).__mro__]
    return any(kind.startswith(name) for kind in kinds for name in names)

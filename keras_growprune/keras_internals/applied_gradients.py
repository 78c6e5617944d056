"""The gradients that are handed to an optimizer, by whomever."""

import contextlib
import functools

from keras_growprune import backend
from keras_growprune.keras_internals.optimizers import optimizer_variables

_SEEN_BY = "_gradients_seen_by"


@contextlib.contextmanager
def seeing_gradients(optimizer, apply):
    """Inside, a function does what an optimizer would do with gradients.

    Both ways to hand them over, `apply` and `apply_gradients`, lead to it.
    Several may see them in turn, each in the place of what comes next.

    Args:
        optimizer: A built optimizer.
        apply: Function of what comes next, the optimizer's own `apply` in the
            end, of gradients, and of their variables, both lists.
    """
    # Of this object alone: others of its class are none of our business. And
    # past Keras, which would track the list.
    members = vars(optimizer)
    if _SEEN_BY not in members:
        members[_SEEN_BY] = []
        members["apply"] = backend.not_rewritten(
            functools.partial(_seen, optimizer)
        )
    members[_SEEN_BY].append(apply)
    try:
        yield
    finally:
        members[_SEEN_BY].remove(apply)
        if not members[_SEEN_BY]:
            del members[_SEEN_BY], members["apply"]


def _seen(optimizer, grads, trainable_variables=None):
    step = functools.partial(type(optimizer).apply, optimizer)
    variables = trainable_variables
    if variables is None:
        variables = optimizer_variables(optimizer)
    grads, variables = list(grads), list(variables)
    if len(grads) != len(variables):  # Keras tells what is wrong
        return step(grads, trainable_variables)
    for apply in vars(optimizer)[_SEEN_BY]:
        step = functools.partial(apply, step)
    return step(grads, variables)

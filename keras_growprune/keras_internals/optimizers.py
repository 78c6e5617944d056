"""Per-variable state of optimizers."""

import contextlib

import keras
import tensorflow as tf


def inner_optimizer(optimizer):
    """The optimizer that holds the per-variable state."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def optimizer_slots(optimizer):
    """Per-variable state of a built optimizer.

    Returns:
        Maps each attribute that holds such state to a list with one variable
        (or None) for each variable that the optimizer was built with.
    """
    optimizer = inner_optimizer(optimizer)
    count = len(optimizer._trainable_variables)
    slots = {}
    for name, value in vars(optimizer).items():
        if name in ("_trainable_variables", "_variables"):
            continue
        if not isinstance(value, (list, tuple)) or len(value) != count:
            continue
        variables = [item for item in value if item is not None]
        if variables and all(isinstance(v, keras.Variable) for v in variables):
            slots[name] = list(value)
    return slots


def slot_initial_values(optimizer):
    """What each kind of per-variable state starts with, by its name."""
    inner = inner_optimizer(optimizer)
    fresh = type(inner).from_config(inner.get_config())
    fresh.build([keras.Variable([0.5], name="probe")])
    return {
        name: float(slots[0].numpy().flat[0])
        for name, slots in optimizer_slots(fresh).items()
        if slots[0] is not None
    }


def optimizer_variables(optimizer):
    """The variables that an optimizer was built with, in its order."""
    return list(inner_optimizer(optimizer)._trainable_variables)


def check_optimizer_can_be_carried(optimizer):
    """Refuses an optimizer whose state cannot follow a change of shape.

    Raises:
        ValueError: If some of its state is not shaped like the variables.
    """
    inner = inner_optimizer(optimizer)
    known = set()
    misfit = None
    for name, slots in optimizer_slots(optimizer).items():
        for slot, variable in zip(slots, inner._trainable_variables):
            if slot is None:
                continue
            known.add(id(slot))
            if tuple(slot.shape) not in (tuple(variable.shape), ()):
                misfit = name
    for variable in inner.variables:
        if id(variable) not in known and len(variable.shape):
            misfit = misfit or variable.name
    if not hasattr(inner, "_trainable_variables") or misfit is not None:
        raise ValueError(
            "The optimizer's state must have the shapes of the variables, so "
            "that it can follow when the network changes its shape. Received: "
            f"optimizer={type(inner).__name__}, whose `{misfit}` has other "
            "shapes. Use SGD, Adam, AdamW, RMSprop, Adagrad, Lion or another "
            "optimizer without factored state."
        )


class OptimizerIndex:
    """Where optimizers find their variables, which are about to be replaced.

    Args:
        optimizers: Built optimizers.
    """

    def __init__(self, optimizers):
        self._before = []
        for optimizer in optimizers:
            for each in {
                id(o): o for o in (optimizer, inner_optimizer(optimizer))
            }.values():
                variables = list(each._trainable_variables)
                excluded = getattr(each, "_exclude_from_weight_decay", None)
                kept = [
                    excluded is not None and each._var_key(v) in excluded
                    for v in variables
                ]
                entry = each, variables, excluded is not None, kept
                self._before.append(entry)

    def renew(self):
        """Makes it true for the variables as they are now."""
        for each, variables, has_excluded, kept in self._before:
            each._trainable_variables_indices = {
                each._var_key(v): index for index, v in enumerate(variables)
            }
            if has_excluded:
                each._exclude_from_weight_decay = {
                    each._var_key(v) for v, keep in zip(variables, kept) if keep
                }
            if hasattr(each, "_exclude_from_weight_decay_cache"):
                each._exclude_from_weight_decay_cache = {}


@contextlib.contextmanager
def no_reduction_on_one_replica(optimizer):
    """Leaves out the sum of gradients over replicas where there is one.

    The default strategy keeps every traced graph that goes through it alive,
    several MiB at each change of structure.
    """
    inner = inner_optimizer(optimizer)
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync != 1:
        yield
        return
    inner._all_reduce_sum_gradients = lambda grads_and_vars: grads_and_vars
    try:
        yield
    finally:
        del inner._all_reduce_sum_gradients

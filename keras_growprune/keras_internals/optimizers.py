"""Per-variable state of optimizers."""

import contextlib

import keras

from keras_growprune import backend
from keras_growprune.keras_internals.running import doing
from keras_growprune.keras_internals.variables import make_elastic


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


def why_shapes_are_needed(optimizer):
    """Why an optimizer cannot train variables of unknown sizes, or None.

    Most of Keras's can. Others are asked to, in a trace that is thrown away.
    """
    inner = inner_optimizer(optimizer)
    kind = type(inner)
    if kind.__module__.startswith("keras.") and kind.__name__ != "Muon":
        return None
    try:
        fresh = kind.from_config(inner.get_config())
        variable = keras.Variable([[0.5, 0.25]], name="probe")
        make_elastic(variable, [0, 1])
        fresh.build([variable])
        for slots in optimizer_slots(fresh).values():
            if slots[0] is not None and len(slots[0].shape) == 2:
                make_elastic(slots[0], [0, 1])

        def step(gradient):
            with doing("own step", fresh):
                fresh.apply([gradient], [variable])

        step = backend.traced(step)
        step.get_concrete_function(backend.spec((None, None), "float32"))
    except Exception as error:  # whatever it does: it does not run
        return f"the optimizer {kind.__name__}: {type(error).__name__}"
    return None


def carry_accumulators(optimizer):
    """Lets accumulated gradients start anew at any width.

    Keras makes the zeros of the shape that an accumulator has while the step
    is traced.
    """
    inner = inner_optimizer(optimizer)

    def reset():
        for accumulator in inner._accumulated_gradients:
            if accumulator is not None:
                inner.assign(accumulator, keras.ops.zeros_like(accumulator))

    if getattr(inner, "gradient_accumulation_steps", None):
        inner._backend_reset_gradient_accumulators = reset


@contextlib.contextmanager
def no_reduction_on_one_replica(optimizer):
    """Leaves out the sum of gradients over replicas where there is one.

    The default strategy keeps every traced graph that goes through it alive,
    several MiB at each change of structure.
    """
    inner = inner_optimizer(optimizer)
    if not backend.is_only_replica():
        yield
        return
    inner._all_reduce_sum_gradients = lambda grads_and_vars: grads_and_vars
    try:
        yield
    finally:
        del inner._all_reduce_sum_gradients

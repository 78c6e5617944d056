"""Per-variable state of optimizers."""

import contextlib
import functools

import keras
import numpy as np

from keras_growprune import backend
from keras_growprune.keras_internals.running import doing
from keras_growprune.keras_internals.running import is_doing
from keras_growprune.keras_internals.variables import make_elastic

# What a slot starts as, where that is no constant.
COPY = "copy"

# Who is inside `with_some_variables`, and the whole index, by optimizer.
_inside = {}

# Averages of weights, which start at the first step instead of zero.
_AVERAGES = ("_model_variables_moving_average",)


def optimizers_in(optimizer):
    """An optimizer and all that it is made of.

    One that scales the loss has another inside, and one may hand some
    variables to each of several.
    """
    found, stack = {}, [optimizer]
    while stack:
        each = stack.pop()
        if id(each) not in found and isinstance(
            each, keras.optimizers.Optimizer
        ):
            found[id(each)] = each
            stack.extend(keras.tree.flatten(list(vars(each).values())))
    return list(found.values())


def optimizer_slots(optimizer):
    """Per-variable state of a built optimizer.

    Args:
        optimizer: One of `optimizers_in` a built optimizer.

    Returns:
        Maps each attribute that holds such state to a list with one variable
        (or None) for each of `optimizer_variables`.
    """
    count = len(optimizer_variables(optimizer))
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


def slot_starts(optimizer):
    """What each kind of per-variable state starts with.

    Read from the state itself before the first step; later from that of an
    optimizer made anew, for which `get_config` must know all arguments.

    Args:
        optimizer: One of `optimizers_in` a built optimizer.

    Returns:
        Maps names of slots to a number, or to `COPY`: as the variable itself.

    Raises:
        ValueError: If that cannot be found out.
    """
    starts = None
    if not int(optimizer.iterations.numpy()):
        starts = _starts(optimizer)
    if starts is None or None in starts.values():
        try:
            fresh = type(optimizer).from_config(optimizer.get_config())
            fresh.build([keras.Variable([0.5, 0.25], name="probe")])
            starts = {**(starts or {}), **_starts(fresh)}
        except Exception as error:
            raise _unknown_start(optimizer) from error
    if None in starts.values():
        raise _unknown_start(optimizer)
    return starts


def _unknown_start(optimizer):
    return ValueError(
        "The optimizer's state must start as a constant or as a copy of the "
        "variable, so that new units of the network can be given theirs. "
        f"Received: optimizer={type(optimizer).__name__}, which has taken "
        "steps, or state that starts in another way. Let its `get_config` "
        "return all arguments of its constructor, or compile the model with "
        "a new one."
    )


def _starts(optimizer):
    variables = optimizer_variables(optimizer)
    return {
        name: COPY if name in _AVERAGES else _start_of(slots, variables)
        for name, slots in optimizer_slots(optimizer).items()
    }


def _start_of(slots, variables):
    pairs = [
        (slot.numpy(), variable.numpy())
        for slot, variable in zip(slots, variables)
        if slot is not None and slot.numpy().size
    ]
    constants = {value for slot, _ in pairs for value in np.unique(slot)[:2]}
    if len(constants) == 1:
        return float(constants.pop())
    if all(np.array_equal(slot, variable) for slot, variable in pairs):
        return COPY if pairs else 0.0
    return None


def optimizer_variables(optimizer):
    """The variables that an optimizer was built with, in its order."""
    return list(getattr(optimizer, "_trainable_variables", ()))


def check_optimizer_can_be_carried(optimizer):
    """Refuses an optimizer whose state cannot follow a change of shape.

    Raises:
        ValueError: If some of its state is not shaped like the variables.
    """
    known, misfits = set(), {}
    parts = optimizers_in(optimizer)
    for part in parts:
        variables = optimizer_variables(part)
        for name, slots in optimizer_slots(part).items():
            for slot, variable in zip(slots, variables):
                if slot is None:
                    continue
                known.add(id(slot))
                if tuple(slot.shape) not in (tuple(variable.shape), ()):
                    misfits.setdefault(id(part), name)
    for part in reversed(parts):
        for variable in part.variables:
            if id(variable) not in known and len(variable.shape):
                misfits.setdefault(id(part), variable.name)
        misfit = misfits.get(id(part))
        if not hasattr(part, "_trainable_variables") or misfit is not None:
            raise ValueError(
                "The optimizer's state must have the shapes of the variables, "
                "so that it can follow when the network changes its shape. "
                f"Received: optimizer={type(part).__name__}, whose `{misfit}` "
                "has other shapes. Use SGD, Adam, AdamW, RMSprop, Adagrad, "
                "Lion or another optimizer without factored state."
            )


class OptimizerIndex:
    """Where optimizers find their variables, which are about to be replaced.

    Whatever they keep for a variable, they keep under a key of the variable
    behind it, which becomes another one.

    Args:
        optimizers: Built optimizers.
    """

    def __init__(self, optimizers):
        self._before = []
        for optimizer in optimizers:
            for each in optimizers_in(optimizer):
                variables = optimizer_variables(each)
                keys = [each._var_key(variable) for variable in variables]
                known = {
                    name: value.copy()
                    for name, value in vars(each).items()
                    if isinstance(value, (dict, set)) and set(keys) & set(value)
                }
                self._before.append((each, variables, keys, known))

    def renew(self):
        """Makes it true for the variables as they are now."""
        for each, variables, before, known in self._before:
            now = {
                old: each._var_key(variable)
                for old, variable in zip(before, variables)
            }
            for name, value in known.items():
                if isinstance(value, dict):
                    value = {now.get(k, k): value[k] for k in value}
                else:
                    value = {now.get(key, key) for key in value}
                vars(each)[name] = value


@contextlib.contextmanager
def with_some_variables(optimizer, variables):
    """Inside, an optimizer made of several takes these variables alone.

    Keras's asks for the gradients of all that it was built with; of a network
    in which some layers are off, there are fewer.
    """
    parts = optimizers_in(optimizer)
    several = [each for each in parts if hasattr(each, "optimizers")]
    for each in several:
        # Several replicas come in before the first of them leaves.
        _inside.setdefault(id(each), []).append(None)
        if len(_inside[id(each)]) == 1:
            index = vars(each)["_trainable_variables_indices"]
            _inside[id(each)][0] = index
            keys = {each._var_key(variable) for variable in variables}
            vars(each)["_trainable_variables_indices"] = {
                key: place for key, place in index.items() if key in keys
            }
    try:
        yield
    finally:
        for each in several:
            index = _inside[id(each)][0]
            _inside[id(each)].pop()
            if not _inside[id(each)]:
                del _inside[id(each)]
                vars(each)["_trainable_variables_indices"] = index


def why_shapes_are_needed(optimizer):
    """Why an optimizer cannot train variables of unknown sizes, or None.

    Most of Keras's can. Others are asked to, in a trace that is thrown away.
    """
    for part in optimizers_in(optimizer):
        reason = None if _steps_as_keras(part) else _try_steps(part)
        if reason is not None:
            return reason
    return None


def _steps_as_keras(optimizer):
    """Whether the steps are those of an optimizer of Keras that can."""
    for kind in type(optimizer).__mro__:
        if kind.__module__.startswith("keras."):
            return kind.__name__ not in ("Muon", "Optimizer")
        members = {n for n in vars(kind) if callable(getattr(kind, n))}
        if members - {"__init__", "get_config", "from_config"}:
            return False
    return False


def _try_steps(optimizer):
    kind = type(optimizer)
    try:
        fresh = kind.from_config(optimizer.get_config())
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
    for part in optimizers_in(optimizer):
        if getattr(part, "gradient_accumulation_steps", None):
            part._backend_reset_gradient_accumulators = _resetting(part)


def _resetting(optimizer):
    def reset():
        for accumulator in optimizer._accumulated_gradients:
            if accumulator is not None:
                zeros = keras.ops.zeros_like(accumulator)
                optimizer.assign(accumulator, zeros)

    return reset


def reduce_at_most_once(optimizer):
    """Lets an optimizer be handed gradients of all replicas: `of_all_replicas`.

    Args:
        optimizer: A built optimizer.
    """
    for part in optimizers_in(optimizer):
        part._all_reduce_sum_gradients = functools.partial(
            _sum_over_replicas, part, optimizer
        )


@contextlib.contextmanager
def of_all_replicas(optimizer):
    """Inside, in this thread, gradients are those of all replicas together.

    So the optimizer does not sum them up. Where there is one replica, the
    default strategy would also keep every traced graph that goes through it
    alive, several MiB at each change of structure.
    """
    with doing("step of all replicas", optimizer):
        yield


def _sum_over_replicas(part, optimizer, grads_and_vars):
    if is_doing("step of all replicas", optimizer):
        return grads_and_vars
    return type(part)._all_reduce_sum_gradients(part, grads_and_vars)

"""Refuses what cannot work, before anything is touched."""

import numbers
import warnings

import keras
import numpy as np

from keras_growprune import keras_internals
from keras_growprune.cost import Budget
from keras_growprune.growth import GrowthSchedule
from keras_growprune.growth import PaperRule
from keras_growprune.growth import Rule
from keras_growprune.growth import SaliencyRule
from keras_growprune.layers.growable import is_count
from keras_growprune.structure import Structure
from keras_growprune.structure import axes_of
from keras_growprune.structure import in_order_of
from keras_growprune.structure import producers
from keras_growprune.training.checked_strategy import check_strategy

RULES = {rule.name: rule for rule in (SaliencyRule, PaperRule)}


def check_arguments(inputs, outputs, budget, schedule, width_multiple, seed):
    """Checks the types of `GrowPruneModel`'s arguments, and the strategy."""
    check_strategy()
    is_integer = isinstance(seed, numbers.Integral) and seed is not True
    if seed is not None and (not is_integer or seed < 0):
        raise ValueError(
            "Argument `seed` must be an integer of at least 0, or None. "
            f"Received: seed={seed!r}"
        )
    for name, value in (("inputs", inputs), ("outputs", outputs)):
        if not isinstance(value, keras.Model):
            continue
        built = (
            value.built
            and hasattr(value, "_functional")
            or not isinstance(value, keras.Sequential)
        )
        fix = (
            "Pass `model.inputs` and `model.outputs`, or, where its layers are "
            "plain Keras layers, `kgp.growable(model, budget)`."
        )
        if not built:
            fix = (
                "It is a Sequential model that is not built, so it has none "
                "yet: add a `keras.Input` as its first layer, and pass "
                "`model.inputs` and `model.outputs`."
            )
        raise ValueError(
            f"Argument `{name}` must be Keras tensors, not a model. Received: "
            f"{name}={value.name!r} of type {type(value).__name__}. {fix}"
        )
    if not isinstance(budget, Budget):
        raise ValueError(
            "Argument `budget` must be a `Budget`, such as "
            f"`Budget(flops=0.5)`. Received: budget={budget!r}"
        )
    if schedule is not None and not isinstance(schedule, GrowthSchedule):
        raise ValueError(
            "Argument `schedule` must be a `GrowthSchedule` or None. "
            f"Received: schedule={schedule!r}"
        )
    if width_multiple == "auto" and budget.profile is None:
        raise ValueError(
            "`width_multiple='auto'` takes the device's block from the "
            "budget's profile. Received: a budget without one, "
            f"budget={budget!r}. Give a number, such as width_multiple=8."
        )
    if width_multiple != "auto" and not is_count(width_multiple):
        raise ValueError(
            "Argument `width_multiple` must be a positive integer or 'auto'. "
            f"Received: width_multiple={width_multiple!r}"
        )


def get_rule(rule):
    """Returns the `Rule` object for a name or an object."""
    if isinstance(rule, Rule):
        return rule
    if not isinstance(rule, str) or rule not in RULES:
        names = ", ".join(repr(name) for name in RULES)
        raise ValueError(
            f"Argument `rule` must be one of {names}, or a "
            f"`keras_growprune.growth.Rule`. Received: rule={rule!r}"
        )
    return RULES[rule]()


def serialize_rule(rule):
    """Returns what `deserialize_rule` needs to make an equal rule."""
    if RULES.get(rule.name) is type(rule):
        return {"name": rule.name, "config": rule.get_config()}
    return keras.saving.serialize_keras_object(rule)


def deserialize_rule(config):
    """Returns the rule that `serialize_rule` described."""
    if set(config) == {"name", "config"}:
        return RULES[config["name"]](**config["config"])
    return keras.saving.deserialize_keras_object(config)


def check_network(model, channel_map, width_multiple, multiple):
    """Checks that there is something to grow, and that it can be resized.

    Args:
        model: The model.
        channel_map: Its `ChannelMap`.
        width_multiple: What the user asked for.
        multiple: What widths will be multiples of.
    """
    for name, reason in channel_map.frozen.items():
        if reason == "feeds an output of the model":
            raise ValueError(
                f"The width of growable layer `{name}` is the width of an "
                "output of the model, which must not change. Use a plain "
                "Keras layer there."
            )
    if not channel_map.groups and not channel_map.gates:
        reasons = "; ".join(
            f"`{k}`: {v}" for k, v in channel_map.frozen.items()
        )
        raise ValueError(
            "The model has no growable layer, so there is nothing to grow or "
            "prune. Expected at least one `GrowableConv2D`, "
            "`GrowableDense`, `GatedAdd` or `GatedSkip` whose width may "
            "change. Received: "
            + (
                f"layers that cannot change ({reasons})."
                if reasons
                else "none. A network of plain Keras layers becomes one that "
                "grows with `kgp.growable(keras.Model(inputs, outputs), "
                "budget)`."
            )
        )
    for group in channel_map.groups:
        if width_multiple != "auto" and group.size < width_multiple:
            raise ValueError(
                "Argument `width_multiple` must not be larger than any "
                f"growable layer. Received: width_multiple={width_multiple}, "
                f"but layer `{group.name}` has a full width of {group.size}."
            )
        seed = group.seed
        if seed is not None and seed % multiple and seed < group.size:
            raise ValueError(
                f"The seed width of layer `{group.name}` must be a multiple "
                f"of `width_multiple` or the full width. Received: {seed}, "
                f"width_multiple={width_multiple!r}, which makes {multiple}"
            )
    _check_skips(channel_map)
    for layer in channel_map.layers:
        if layer.__class__.__name__ == "StructureGate":
            raise ValueError(
                "A `GrowPruneModel` makes the structure gates it needs "
                f"itself. Received: layer `{layer.name}` of type "
                "StructureGate. Leave it out."
            )
    check_not_shared(model, channel_map)


def _check_skips(channel_map):
    """A skip leaves out what lies between its inputs: there is such a part."""
    made_by = producers(channel_map)
    for gate in channel_map.gates:
        if axes_of(gate.layer).channels != "skip":
            continue
        shortcut, branch = channel_map.calls[gate.call].inputs
        found, stack = set(), [branch]
        while stack:
            call = made_by.get(id(stack.pop()))
            new = [t for t in call.inputs if id(t) not in found] if call else []
            found |= {id(tensor) for tensor in new}
            stack.extend(new)
        if id(shortcut) not in found:
            raise ValueError(
                f"Layer `{gate.layer.name}` must be called on `[shortcut, "
                "branch]`, of which the branch is computed from the shortcut, "
                "which takes its place when the branch leaves. Received: a "
                "branch that is not computed from the shortcut. Are the two "
                "in the wrong order?"
            )


def check_not_grown_elsewhere(model, channel_map):
    """Refuses layers that another growing model has resized, or will."""
    resized = [
        layer.name
        for group in channel_map.groups
        for layer in group.writers
        if getattr(layer, axes_of(layer).width_attribute) != layer.full_width
    ]
    others = keras_internals.LayerSharing(channel_map.layers, model).find()
    growing = [other.name for other in others if hasattr(other, "_growth")]
    if resized or growing:
        raise ValueError(
            "A growable layer can belong to one `GrowPruneModel` only. "
            f"Received: layers that another one has resized ({resized}), or "
            f"other models that grow the same layers ({growing}). Build this "
            "model from layers of its own."
        )


def check_not_shared(model, channel_map):
    """Refuses to resize layers that something outside still reads."""
    resized = {id(weight.layer) for weight in channel_map.weights}
    resized |= {
        id(call.operation)
        for call in channel_map.calls
        for tensor in call.outputs
        if id(tensor) in channel_map.channels
    }
    names = {layer.name for layer in channel_map.layers if id(layer) in resized}
    for inside, outside in keras_internals.outside_calls(model):
        if inside in names:
            raise ValueError(
                f"Layer `{inside}` changes its width, but it is also used "
                f"outside this model, by layer `{outside}`, whose weights "
                "could not follow. Build this model from layers of its own "
                "(`keras.models.clone_model`), or add the other use to its "
                "outputs."
            )


def checked_structure(structure, network):
    """Returns a user's structure in the network's order, or refuses it.

    Args:
        structure: A `Structure` that a user chose.
        network: The `GrowingNetwork`.
    """
    ours, channel_map = network.structure, network.blueprint.map
    if not isinstance(structure, Structure):
        fix = ""
        if isinstance(structure, str):
            fix = ". Read text with `kgp.Structure.from_json(text)`"
        raise ValueError(
            "Argument `structure` must be a `Structure`, such as "
            f"`model.structure`. Received: structure={structure!r} of type "
            f"{type(structure).__name__}{fix}"
        )
    structure = in_order_of(
        structure,
        ours,
        "Argument `structure` must have the groups and gates of model "
        f"`{network.name}`.",
    )
    widths = channel_map.widths(structure.units)
    for group, width in zip(channel_map.groups, widths):
        if not width:
            raise ValueError(
                "Each group must keep at least one unit. Received a "
                f"structure without any unit of layer `{group.name}`."
            )
    return structure


def check_moment(moment, controller):
    """Refuses weights that were taken from another network."""
    if not moment.fits(controller):
        raise ValueError(
            "Argument `weights` must come from `get_weights` of a model with "
            "the layers of this one. Received: weights of another network. "
            "For a part of them, call `set_weights` of single layers."
        )


def check_weight_shapes(received, expected, name):
    """Refuses weights of other shapes than those expected."""
    if received == expected:
        return
    fix = (
        "Pass the list that `get_weights` returned as it is, which knows its "
        "structure, or load a file that `save` or `save_weights` wrote."
    )
    if len(received) != len(expected):
        raise ValueError(
            f"Model `{name}` has {len(expected)} weights. Received: "
            f"{len(received)}. {fix}"
        )
    index = next(
        i
        for i, pair in enumerate(zip(received, expected))
        if len(set(pair)) > 1
    )
    raise ValueError(
        f"The weights must have the shapes that model `{name}` has now. "
        f"Expected: {expected[index]} for weight {index}. Received: "
        f"{received[index]}, maybe of another structure. {fix}"
    )


def warn_if_above_budget(controller):
    """Warns where weights that were set are of too large a network."""
    cost = controller.network.fractions()["cost"]
    limit = controller.blueprint.budget_fraction
    if controller.state.settled or cost <= limit:
        return
    warnings.warn(
        f"The weights that were set belong to a network that costs {cost:.3g} "
        f"of the full one, above the budget of {limit:.3g}: they were taken "
        "before the structure was settled. `settle()` prunes it to the "
        "budget. To choose among settled epochs only, wrap the callback: "
        "`kgp.callbacks.OnceSettled(EarlyStopping(...))`.",
        stacklevel=3,
    )


def warn_without_steps(model):
    """Warns of an epoch in which there was nothing to train on."""
    warnings.warn(
        f"An epoch of model `{model.name}` had no training step: the data "
        "were empty or used up. It does not count for growing, and the "
        "structure is settled later. Give `fit` data that last for all "
        "epochs: `dataset.repeat()` and `steps_per_epoch`, say.",
        stacklevel=4,
    )


def warn_if_nothing_is_measured(state, schedule):
    """Warns where a run settles before its first step.

    Args:
        state: The `GrowthState` at the beginning of the run.
        schedule: The `GrowthSchedule`.
    """
    settles_now = schedule.settle_epoch(state.periods) <= state.period
    is_asked_for = schedule.settle_at == 0
    measured = np.any(state.ages) or np.any(state.gate_ages)
    if settles_now and state.periods and not (is_asked_for or measured):
        warnings.warn(
            "This run is so short that the structure is settled before the "
            "first step: nothing was measured that it could rest on, and it "
            f"stays as it is from then on. Received: a run of {state.periods} "
            "epochs. Train longer, give the length of the whole run as "
            "`fit(growth_epochs=...)` if more is to come, or let the structure "
            "change within epochs: "
            "`schedule=GrowthSchedule(restructure_every=0.1)`.",
            stacklevel=4,
        )


def check_reachable(space, budget, limit, cost):
    """Checks that some structure can meet the budget."""
    gates = np.zeros(len(space.gate_kinds), dtype=bool)
    smallest = float(space.cost(space.smallest_widths(), gates))
    if smallest <= limit <= cost.full:
        return
    if not budget.is_absolute:
        shown = f"{smallest / cost.full:.4f} to 1.0"
    elif budget.measure == "latency":
        shown = f"{smallest:.4g} to {cost.full:.4g} ms"
    else:
        shown = f"{smallest:,.0f} to {cost.full:,.0f}"
    what = "The budget cannot be met"
    if limit > cost.full:
        what = "The budget is more than the full network costs"
    (argument, *_) = budget.get_config()
    raise ValueError(
        f"{what}: with this network, `{argument}` can be {shown}. Received: "
        f"{budget!r}{_meant_fraction(budget)}"
    )


def _meant_fraction(budget):
    """What to say of a count that was perhaps meant as a fraction."""
    value = budget.value
    if not isinstance(value, int) or value > 100:
        return ""
    what = {"flops": "FLOPs", "params": "parameters"}[budget.measure]
    count = f"a count of {what}" if value > 1 else f"a single one of the {what}"
    whole = "all of them are 1.0, " if value == 1 else ""
    return f". {value} is {count}; {whole}half of the full network's is 0.5."

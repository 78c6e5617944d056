"""The table that `GrowPruneModel.structure_summary` prints."""

import numpy as np

from keras_growprune.text import bars
from keras_growprune.text import counted
from keras_growprune.text import table


def structure_table(controller):
    """Renders what a growing network looks like now, as text."""
    network, blueprint = controller.network, controller.blueprint
    state = network.state
    widths = network.widths()
    rows = _rows(controller)
    header = ("layer (+ coupled)", "", "now", "seed", "full", "mean logit")
    if all(row[-1] in ("", "-") for row in rows):  # nothing to tell
        header, rows = header[:-1], [row[:-1] for row in rows]
    life = "settled" if state.settled else "growing"
    fractions = network.fractions()
    totals = [f"{life}, budget {blueprint.budget!r}"]
    for name, cost in (
        ("flops", blueprint.flops),
        ("params", blueprint.params),
    ):
        if cost is not None:
            now = float(cost(widths, state.gates))
            share = f"({fractions[name]:.1%})"
            totals.append(f"{name}: {now:,.0f} of {cost.full:,.0f} {share}")
    profile = blueprint.budget.profile
    if profile is not None:
        now = float(blueprint.cost(widths, state.gates))
        totals.append(
            f"predicted time: {now:,.3g} of {blueprint.cost.full:,.3g} ms "
            f"({fractions['cost']:.1%}), {profile.runtime or 'device'}, batch "
            f"{profile.batch_size}"
        )
    ledger = controller.ledger
    if ledger.epochs and blueprint.flops is not None:
        epochs = ledger.epochs[-1]["epoch"] + 1
        totals.append(
            f"training so far: {counted(epochs, 'epoch')}, "
            f"{ledger.total('training_flops'):.3g} FLOPs, "
            f"{ledger.relative_training_flops():.1%} of what the full network "
            f"takes; {ledger.total('seconds'):.1f} s, of which tracing "
            f"{ledger.total('retrace_seconds'):.1f} s; changes of structure "
            f"{ledger.total('restructure_seconds'):.1f} s"
        )
    for name, reason in network.one_trace.reasons.items():
        totals.append(f"traced anew for each structure: {name}: {reason}")
    title = f"Structure of model {controller.model.name!r}"
    return "\n".join([title, table(header, rows), *totals])


def _rows(controller):
    """Groups, gates and fixed layers, in the order of the graph."""
    channel_map = controller.blueprint.map
    state = controller.state
    now = channel_map.live_widths(controller.network.widths(), state.gates)
    seed_gates = controller.seed_gates
    seed = channel_map.live_widths(controller.seed_widths, seed_gates)
    # Below zero there is no logarithm: they are those of an earlier price.
    is_stale = state.price < 0 and not controller.blueprint.rule.trains_logits
    placed = []
    for index, group in enumerate(channel_map.groups):
        names = [layer.name for layer in group.writers]
        label = names[0]
        if len(names) > 1:
            label += f" (+{len(names) - 1})"
        row = (
            label,
            bars([now[index] / group.size]),
            _width(now[index]),
            _width(seed[index]),
            f"{group.size}",
            _mean_logit(state, group) if now[index] and not is_stale else "-",
        )
        placed.append((names[0], row))
    gates = zip(
        channel_map.gates,
        channel_map.live_gates(state.gates),
        channel_map.live_gates(seed_gates),
    )
    for gate, is_in, was_in in gates:
        row = (gate.name, "", _presence(is_in), _presence(was_in), "in", "")
        placed.append((gate.name, row))
    for name, reason in channel_map.frozen.items():
        placed.append((name, (name, "", "fixed", "", "", reason)))
    places = {}
    for index, call in enumerate(channel_map.calls):
        for name in (call.operation.name, call.layer.name):
            places.setdefault(name, index)
    last = len(channel_map.calls)
    placed.sort(key=lambda each: places.get(each[0], last))
    return [row for _, row in placed]


def _width(width):
    return f"{width}" if width else "out"


def _presence(is_in):
    return "in" if is_in else "out"


def _mean_logit(state, group):
    part = group.slice
    logits = state.logits[part][state.units[part]]
    measured = np.any(state.ages[part]) and np.any(logits)
    return f"{logits.mean():+.1f}" if measured else "-"

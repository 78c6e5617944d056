"""The table that `GrowPruneModel.structure_summary` prints."""

import numpy as np

from keras_growprune.text import bars
from keras_growprune.text import table


def structure_table(controller):
    """Renders what a growing network looks like now, as text."""
    network, blueprint = controller.network, controller.blueprint
    state = network.state
    rows = []
    widths = network.widths()
    for index, group in enumerate(blueprint.map.groups):
        part = group.slice
        active = state.units[part]
        logits = state.logits[part][active]
        measured = bool(np.any(state.ages[part]) and np.any(logits))
        shown = f"{logits.mean():+.1f}" if measured else "-"
        names = [layer.name for layer in group.writers]
        label = names[0]
        if len(names) > 1:
            label += f" (+{len(names) - 1})"
        seed = controller.seed_widths[index]
        bar = bars([widths[index] / group.size])
        row = (bar, f"{widths[index]}", f"{seed}", f"{group.size}", shown)
        rows.append((label, *row))
    for index, gate in enumerate(blueprint.map.gates):
        on = "on" if state.gates[index] else "off"
        seed = "on" if controller.seed_gates[index] else "off"
        rows.append((gate.name, "", on, seed, "on", ""))
    for name, reason in blueprint.map.frozen.items():
        rows.append((name, "", "fixed", "", "", reason))
    header = ("layer (+ coupled)", "", "now", "seed", "full", "mean logit")
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
        totals.append(
            f"training so far: {ledger.epochs[-1]['epoch'] + 1} epochs, "
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

"""Costs of a structure in a line of text."""

_MEASURES = {"flops": "FLOPs", "params": "parameters", "latency": "time"}


def measure_text(model):
    """What the budget of a model bounds, as a word."""
    return _MEASURES[model.budget.measure]


def structure_text(model, structure):
    """Fractions of the full network that a structure has, as a line."""
    blueprint = model._growth.blueprint
    widths = blueprint.map.widths(structure.units)
    fractions = blueprint.fractions(widths, structure.gates)
    measured = {model.budget.measure: fractions["cost"], **fractions}
    parts = [
        f"{measured[name]:.1%} of {{}} {word}"
        for name, word in _MEASURES.items()
        if name in measured
    ]
    whose = ["the full network's"] + ["its"] * (len(parts) - 1)
    return ", ".join(p.format(owner) for p, owner in zip(parts, whose))

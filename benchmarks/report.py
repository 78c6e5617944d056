"""Tables from the JSON files that benchmarks write."""

import collections
import json
import math
import statistics

# Two-sided 95 % quantiles of Student's distribution, by degrees of freedom.
_STUDENT = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447}


def read_cells(folder):
    """Maps methods to their cells by seed."""
    cells = collections.defaultdict(dict)
    for path in sorted(folder.glob("*.json")):
        cell = json.loads(path.read_text())
        cells[cell["method"]][cell["seed"]] = cell
    return cells


def paired(cells, other, key="accuracy"):
    """Mean difference over common seeds, and half of its 95 % interval.

    Returns:
        `(mean, half width, seeds)`; the half width is infinite for one seed.
    """
    seeds = sorted(set(cells) & set(other))
    differences = [cells[seed][key] - other[seed][key] for seed in seeds]
    if not differences:
        return math.nan, math.inf, 0
    mean = statistics.mean(differences)
    if len(differences) < 2:
        return mean, math.inf, 1
    spread = statistics.stdev(differences) / math.sqrt(len(differences))
    quantile = _STUDENT.get(len(differences) - 1, 2.0)
    return mean, quantile * spread, len(differences)


def table(folder, methods, baseline="narrow"):
    """Renders the mean over seeds of each method as a Markdown table."""
    cells = read_cells(folder)
    lines = [
        f"| method | seeds | accuracy | minus {baseline} | FLOPs | parameters "
        "| training FLOPs | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method in methods:
        if method in cells:
            other = {} if method == baseline else cells[baseline]
            lines.append(_line(method, cells[method], other))
    return "\n".join(lines)


def _line(method, cells, baseline):
    def values(key):
        return [cell[key] for cell in cells.values()]

    def mean(key):
        return statistics.mean(values(key))

    accuracy = f"{mean('accuracy'):.2f}"
    if len(cells) > 1:
        accuracy += f" ± {statistics.stdev(values('accuracy')):.2f}"
    difference, half, count = paired(cells, baseline)
    shown = f"{difference:+.2f}" if count else ""
    if math.isfinite(half):
        shown += f" ± {half:.2f}"
    return (
        f"| {method} | {len(cells)} | {accuracy} | {shown} "
        f"| {mean('flops'):.3f} | {mean('params'):.3f} "
        f"| {mean('training_flops'):.3f} | {mean('seconds'):.0f} |"
    )

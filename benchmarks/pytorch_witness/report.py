"""The table of `RESULTS.md`, from the rows that were written."""

import math
import statistics

NAMES = {
    "resnet20": "ResNet-20",
    "vgg16": "VGG-16",
    "resnet56": "ResNet-56",
    "wrn28_10": "WRN-28-10",
}
_ORDER = (
    "full",
    "narrow",
    "narrow_as_many_flops",
    "grown",
    "grown_from_scratch",
    "pruned",
    "l1_pruning",
    "slimming",
    "paper",
    "narrow_long",
    "grown_long",
)
# Others' figures: accuracy, FLOPs, parameters, training FLOPs. Those of Yuan
# et al. are as remembered, the paper was not at hand.
_PUBLISHED = {
    "resnet20": {
        "published: Yuan et al.": (90.9, None, 0.358, 0.42),
        "published: Model-Optimizer": (90.3, 0.73, 0.65, None),
    },
    "vgg16": {"published: Yuan et al.": (92.5, 0.043, 0.05, 0.20)},
    "resnet56": {"published: Torch-Pruning": (93.77, 0.47, None, None)},
    "wrn28_10": {"published: Yuan et al.": (95.3, None, 0.09, 0.32)},
}
_HEADER = (
    "network",
    "method",
    "budget",
    "accuracy by seed",
    "mean",
    "minus narrow",
    "last loss",
    "epochs",
    "FLOPs",
    "parameters",
    "training FLOPs",
)


def write_report(rows, page):
    """Writes the table into a page, between its two comments.

    Args:
        rows: Rows as `methods` yields them.
        page: Path of the page.

    Returns:
        The table.
    """
    begin, end = "<!-- table of accelerator -->", "<!-- end of accelerator -->"
    before, rest = page.read_text().split(begin)
    _, after = rest.split(end)
    text = table(rows)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")
    return text


def table(rows):
    """Renders a Markdown table, one line for each network, method, budget."""
    cells = {}
    for row in rows:
        key = row["network"], row["budget"], row["method"]
        cells.setdefault(key, {})[row["seed"]] = row
    lines = [_line(_HEADER), "|---" * len(_HEADER) + "|"]
    for network in NAMES:
        budgets = {key[1] for key in cells if key[0] == network}
        # The full network first, which has no budget.
        for budget in sorted(budgets, key=lambda b: -(b or math.inf)):
            for method in _ORDER:
                if (network, budget, method) in cells:
                    seeds = cells[network, budget, method]
                    narrow = cells.get((network, budget, "narrow"), {})
                    lines.append(_line(_entries(seeds, narrow)))
        for name, figures in _PUBLISHED[network].items() if budgets else ():
            lines.append(_line(_published(network, name, figures)))
    return "\n".join(lines)


def _line(entries):
    return f"| {' | '.join(entries)} |"


def _entries(cells, narrow):
    rows = [cells[seed] for seed in sorted(cells)]
    first = rows[0]
    accuracies = [row["accuracy"] for row in rows]
    mean = f"{statistics.mean(accuracies):.2f}"
    if len(rows) > 1:
        mean += f" ± {statistics.stdev(accuracies):.2f}"
    difference = ""
    if first["method"] != "narrow":
        difference = difference_of(cells, narrow)
    budget = first["budget"]
    name = {"flops": "FLOPs", "params": "parameters"}[first["measure"]]
    epochs = statistics.mean(row["trained_epochs"] for row in rows)
    return (
        NAMES[first["network"]],
        first["method"].replace("_", " "),
        f"{budget} {name}" if budget else "",
        " ".join(f"{each:.2f}" for each in accuracies),
        mean,
        difference,
        f"{statistics.mean(row['loss'] for row in rows):.3f}",
        f"{epochs:.0f}",
        *(
            f"{statistics.mean(row[key] for row in rows):.{digits}f}"
            for key, digits in (
                ("flops", 2),
                ("params", 2),
                ("training_flops", 2),
            )
        ),
    )


def difference_of(cells, others):
    """Mean difference of accuracy over common seeds, and half of its 95 %
    interval, as text."""
    common = sorted(set(cells) & set(others))
    if not common:
        return ""
    values = [cells[s]["accuracy"] - others[s]["accuracy"] for s in common]
    text = f"{statistics.mean(values):+.2f}"
    if len(values) > 1:
        from scipy import stats  # not where networks are only trained

        spread = statistics.stdev(values) / math.sqrt(len(values))
        text += f" ± {stats.t.ppf(0.975, len(values) - 1) * spread:.2f}"
    return text


def _published(network, name, figures):
    accuracy, *costs = figures
    shown = ["" if cost is None else f"{cost:.2f}" for cost in costs]
    return (NAMES[network], name, "", "", str(accuracy), "", "", "", *shown)

"""The table and the plots that are made from the cells' JSON files."""

import collections
import json
import math
import statistics

from cells import FROM_SCRATCH
from scipy import stats

COLUMNS = {
    "validation": "validation_accuracy",
    "FLOPs": "flops",
    "parameters": "params",
    "training FLOPs": "training_flops",
    "training time": "training",
    "step time": "step",
    "TensorFlow": "tensorflow",
    "LiteRT": "litert",
    "peak MiB": "peak_mib",
}


def read_cells(folder):
    """Maps methods to their cells by seed, with their timings where known.

    Times are relative to the full network's, which are 1 by definition.
    """
    cells, timed = collections.defaultdict(dict), set()
    for path in sorted(folder.glob("*-*.json")):
        cell = json.loads(path.read_text())
        timing = folder / "timing" / path.name
        if timing.exists():
            times = json.loads(timing.read_text())
            timed |= set(times) - set(cell)
            cell.update(times)
        cells[cell["method"]][cell["seed"]] = cell
    for seed, cell in cells.get("full", {}).items():
        cells["full"][seed] = {**cell, **dict.fromkeys(timed, 1.0)}
    return cells


def paired(cells, other, key="accuracy"):
    """Mean difference over common seeds, and half of its 95 % interval.

    Returns:
        `(mean, half width, seeds)`; the half width is infinite for one seed.
    """
    seeds = [
        seed
        for seed in sorted(set(cells) & set(other))
        if key in cells[seed] and key in other[seed]
    ]
    differences = [cells[seed][key] - other[seed][key] for seed in seeds]
    if not differences:
        return math.nan, math.inf, 0
    mean = statistics.mean(differences)
    return mean, half_interval(differences), len(differences)


def half_interval(values):
    """Half of the 95 % interval of a mean; infinite for a single value."""
    if len(values) < 2:
        return math.inf
    spread = statistics.stdev(values) / math.sqrt(len(values))
    return float(stats.t.ppf(0.975, len(values) - 1) * spread)


def table(
    folder, methods, baseline="narrow", score="accuracy", columns=COLUMNS
):
    """Renders the mean over seeds of each method as a Markdown table.

    Args:
        folder: Where the cells are.
        methods: Names of methods, in the order of the rows.
        baseline: The method that others are compared with, seed by seed.
        score: Entry of a cell that they are compared by.
        columns: Maps titles to further entries.
    """
    cells = read_cells(folder)
    columns = {
        name: key
        for name, key in columns.items()
        if any(
            cell.get(key) for each in cells.values() for cell in each.values()
        )
    }
    header = ["method", "seeds", score, f"minus {baseline}", *columns]
    lines = [_row(header), "|---" * len(header) + "|"]
    for method in methods:
        if method in cells:
            other = {} if method == baseline else cells[baseline]
            lines.append(
                _row(
                    _entries(
                        method, cells[method], other, score, columns.values()
                    )
                )
            )
    return "\n".join(lines)


def _row(entries):
    return f"| {' | '.join(entries)} |"


def _mean(cells, key):
    values = [cell.get(key) for cell in cells.values()]
    values = [value for value in values if value is not None]
    return statistics.mean(values) if values else math.nan


def _entries(method, cells, baseline, score, keys):
    values = [c[score] for c in cells.values() if score in c]
    accuracy = f"{statistics.mean(values):.2f}" if values else ""
    if len(values) > 1:
        accuracy += f" ± {statistics.stdev(values):.2f}"
    difference, half, count = paired(cells, baseline, score)
    shown = f"{difference:+.2f}" if count else ""
    if math.isfinite(half):
        shown += f" ± {half:.2f}"
    means = {key: _mean(cells, key) for key in keys}
    return [
        method.replace("_", " "),
        str(len(cells)),
        accuracy,
        shown,
        *[
            "" if math.isnan(mean) else f"{mean:.{0 if 'mib' in key else 2}f}"
            for key, mean in means.items()
        ],
    ]


_AXES = {
    "training_flops": "training FLOPs, of the full network's",
    "training": "training time, of the full network's",
    "litert": "LiteRT latency, of the full network's",
}


# Variants of a method: a longer training, and the structure it found.
_LONG = "_long"


def plot(folder, methods, path):
    """Draws accuracy against what it cost: one curve a method.

    A curve goes from the ordinary training to the longer one, where there is
    one. A structure trained from scratch is a hollow mark beside it.

    Args:
        folder: Where the cells are.
        methods: Names of methods, in the order of the legend.
        path: PNG file to write.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    cells = read_cells(folder)
    methods = [method for method in methods if method in cells]
    known = set().union(*(c for each in cells.values() for c in each.values()))
    shown = {key: label for key, label in _AXES.items() if key in known}
    figure, (plots,) = pyplot.subplots(
        1,
        len(shown),
        figsize=(5 * len(shown), 5),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, (key, label) in zip(plots, shown.items()):
        for name, style in _styles(methods):
            points = curve(cells, name, key)
            if points:
                xs, means, spreads = zip(*points)
                axes.errorbar(xs, means, spreads, **style)
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
    plots[0].set_ylabel("accuracy, %")
    handles = {
        label: handle
        for axes in plots
        for handle, label in zip(*axes.get_legend_handles_labels())
    }
    figure.legend(handles.values(), handles, loc="outside right center")
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def _styles(methods):
    """Each curve's name and how it is drawn."""
    families = list(
        dict.fromkeys(
            name.removesuffix(FROM_SCRATCH).removesuffix(_LONG)
            for name in methods
        )
    )
    markers = "os^vD*PX<>ph8d"
    for index, family in enumerate(families):
        style = dict(
            color=f"C{index % 10}",
            marker=markers[index % len(markers)],
            markersize=9,
            linewidth=1,
        )
        yield family, {**style, "label": family.replace("_", " ")}
        scratch = family + FROM_SCRATCH
        if scratch in methods:
            yield (
                scratch,
                {
                    **style,
                    "markerfacecolor": "none",
                    "label": scratch.replace("_", " "),
                },
            )


def curve(cells, name, key):
    """Points of one method and of its longer training, where known.

    Returns:
        List of `(x, mean accuracy, standard deviation)`; the deviation of a
        single seed is 0.
    """
    points = []
    family = name.removesuffix(FROM_SCRATCH)
    for method in (name, family + _LONG + name.removeprefix(family)):
        seeds = cells.get(method, {}).values()
        # Not all seeds are timed: a time is that of the structure.
        xs = [cell[key] for cell in seeds if key in cell]
        ys = [cell["accuracy"] for cell in seeds if "accuracy" in cell]
        if xs and ys:
            deviation = statistics.stdev(ys) if len(ys) > 1 else 0.0
            points.append((statistics.mean(xs), statistics.mean(ys), deviation))
    return points


def write(folder, methods, document):
    """Writes `accuracy.png` beside the cells, and the table into a document.

    Args:
        folder: Where the cells are.
        methods: Names of methods, in the order of the table.
        document: Path of a Markdown file, see `insert_table`.

    Returns:
        The table.
    """
    text = table(folder, methods)
    plot(folder, methods, folder / "accuracy.png")
    insert_table(document, folder.name, text)
    return text


def insert_table(document, name, text):
    """Writes a table into a Markdown file, in the place of the old one.

    Args:
        document: Path of the file. What stands between `<!-- table of NAME
            -->` and `<!-- end of NAME -->` becomes the table.
        name: Name of the table.
        text: The table.
    """
    begin, end = (f"<!-- {word} of {name} -->" for word in ("table", "end"))
    content = document.read_text()
    if begin in content:
        before, rest = content.split(begin)
        after = rest.split(end)[1]
        document.write_text(f"{before}{begin}\n{text}\n{end}{after}")

"""What training has cost so far."""

import csv
import json

import numpy as np

from keras_growprune.files import written_aside
from keras_growprune.text import bars
from keras_growprune.text import table

# Forward pass, gradients by inputs, gradients by weights.
_PASSES = 3


class Ledger:
    """One record per epoch, or part of one, of what it cost.

    `print` it for a table. Fractions of FLOPs and parameters are columns of
    their own where they are not the cost; `val` is a metric in validation.

    Attributes:
        epochs: List of dicts with the keys `epoch`, `examples`, `cost`,
            `flops`, `params` (fractions of the full network), `units` (width
            of each group), `gates`, `target` (what the schedule allows, a
            fraction of the full network's cost), `price` (worth per cost of
            what was bought or sold last: below 0 where the loss was expected
            to fall without it), `settled`,
            `metrics` (the logs of `fit` at the end of an epoch, before that
            empty), `training_flops`, `full_training_flops`
            (multiply-adds, three times the forward pass; the former with
            what a teacher takes), `seconds` (training steps, with what is
            traced in them), and what growing adds:
            `restructure_seconds` (deciding and changing), `retrace_seconds`
            (tracing and compiling functions of all kinds), `measure_seconds`
            (statistics of norms), `traces` and `compilations` (how many; a
            plain network has the first ones too).
        traced_anew: Maps what needs known widths while functions are traced
            (names of layers, `"optimizer"`) to why: then each structure costs
            a trace. Empty where one trace serves all widths.

    Args:
        full_flops: Multiply-adds of the full network for one example.

    Example:

    ```python
    model.fit(images, labels, epochs=20)
    print(model.ledger)  # a table
    model.ledger.relative_training_flops() < 1  # True
    model.ledger.to_csv("epochs.csv")
    ```
    """

    def __init__(self, full_flops):
        self._full_flops = full_flops
        self.epochs = []
        self.traced_anew = {}
        # To print widths as bars.
        self.full_widths = None
        # Function of widths and gates: what of the widths was computed.
        self.live_widths = None

    def add(self, examples, flops, teacher_flops=0.0, **record):
        """Adds an epoch.

        Args:
            examples: Number of training examples seen.
            flops: FLOPs of the network, as a fraction of the full network's.
            teacher_flops: Multiply-adds of a teacher for one example.
                Defaults to 0.0: there is none.
            **record: The other entries.
        """
        full = _PASSES * self._full_flops * examples
        self.epochs.append(
            {
                "examples": int(examples),
                "flops": flops,
                "training_flops": full * flops + teacher_flops * examples,
                "full_training_flops": full,
                **record,
            }
        )

    def total(self, key):
        """Sum over the epochs of one entry.

        Args:
            key: Name of an entry of `epochs` that is a number, such as
                `"seconds"`.

        Returns:
            A float.
        """
        return float(sum(record[key] for record in self.epochs))

    def relative_training_flops(self):
        """Training FLOPs as a fraction of what the full network would take.

        Returns:
            A float, NaN before the first epoch.
        """
        full = self.total("full_training_flops")
        return self.total("training_flops") / full if full else float("nan")

    def estimated_seconds_saved(self):
        """How much sooner training is where it is, than by the full network.

        The time of a training step is fitted to the FLOPs of the network, as
        a straight line through the records so far (least squares, weighted
        by examples; tracing aside), with a constant for what measuring adds
        until the structure is settled. Its value at all FLOPs, without that
        constant, is taken for the full network. What growing adds is
        subtracted. The line is followed beyond what was measured: the
        further, the rougher.

        Returns:
            Seconds; below 0 where growing cost more than it saved. NaN until
            networks of two sizes were trained, or where FLOPs are unknown.
        """
        timed = [each for each in self.epochs if each["examples"]]
        flops = np.array([each["flops"] for each in timed])
        if len(set(flops)) < 2 or not np.all(np.isfinite(flops)):
            return float("nan")
        examples = np.array([each["examples"] for each in timed], float)
        seconds = np.array(
            [each["seconds"] - each["retrace_seconds"] for each in timed]
        )
        growing = np.array([not each.get("settled", 0) for each in timed])
        columns = [np.ones(len(timed)), flops]
        if growing.any() and not growing.all():
            columns.append(growing)
        weights = np.sqrt(examples)
        found, *_ = np.linalg.lstsq(
            (np.array(columns) * weights).T, seconds / examples * weights
        )
        slope, offset = found[1], found[0]
        traced = self.total("retrace_seconds") - timed[0]["retrace_seconds"]
        added = sum(map(_overhead, self.epochs)) + traced
        full = (slope + offset) * examples.sum()
        return float(full - seconds.sum() - added)

    def columns(self):
        """Returns the records as columns, such as `pandas.DataFrame` takes.

        Returns:
            A dict of lists of equal length: the keys of `epochs`, with those
            of `metrics` among them, and None where a record lacks one.
        """
        rows = []
        for each in self.epochs:
            row = {"epoch": each.get("epoch"), **each}
            rows.append({**row, **row.pop("metrics", {})})
        keys = dict.fromkeys(key for row in rows for key in row)
        return {key: [row.get(key) for row in rows] for key in keys}

    def to_csv(self, path):
        """Writes the records as a file of comma-separated values.

        Args:
            path: Where to write; lists (`units`, `gates`) are written as
                numbers with spaces between them.
        """
        columns = self.columns()
        with (
            written_aside(path) as aside,
            open(aside, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(columns)
            for row in zip(*columns.values()):
                writer.writerow([_plain(value) for value in row])

    def __str__(self):
        """The records as a table, and their sums below it."""
        if not self.epochs:
            return "no epoch yet"
        metrics = _metric_columns(self.epochs)
        # Fractions of what the budget bounds are those of the cost.
        fractions = [
            (title, key)
            for title, key in (("FLOPs", "flops"), ("params", "params"))
            if any(key in r and r[key] != r.get("cost") for r in self.epochs)
        ]
        header = ["epoch", "widths", "cost", "target"]
        header += [title for title, _ in fractions]
        header += ["seconds", *[title for title, _ in metrics]]
        rows = []
        for each in self.epochs:
            keys = ("cost", "target", *[key for _, key in fractions])
            row = [f"{each.get('epoch', 0) + 1}", self._bars(each)]
            row += [f"{each.get(key, np.nan):.3f}" for key in keys]
            row.append(f"{each.get('seconds', np.nan):.1f}")
            found = each.get("metrics") or {}
            row += [f"{found[k]:.4g}" if k in found else "" for _, k in metrics]
            rows.append(row)
        return "\n".join([table(header, rows, left=2), *self._sums()])

    def __repr__(self):
        return str(self)

    def _sums(self):
        """What all records together took, in lines."""
        flops = f"training FLOPs: {self.total('training_flops'):.3g}"
        share = self.relative_training_flops()
        if np.isfinite(share):
            flops += f", {share:.1%} of what the full network takes"
        sums = {
            key: sum(each.get(key, 0.0) for each in self.epochs)
            for key in ("seconds", "retrace_seconds")
        }
        return [
            flops,
            f"seconds: {sums['seconds']:.1f} of training steps, with "
            f"{sums['retrace_seconds']:.1f} of tracing and compiling; besides, "
            f"{sum(map(_overhead, self.epochs)):.1f} of changes",
        ]

    def _bars(self, record):
        if self.full_widths is None or "units" not in record:
            return ""
        widths = record["units"]
        if self.live_widths is not None and "gates" in record:
            widths = self.live_widths(widths, record["gates"])
        return bars(np.divide(widths, self.full_widths), 24)

    def to_arrays(self):
        """Returns the records as a dict of NumPy arrays."""
        text = json.dumps(self.epochs).encode()
        return {"ledger": np.frombuffer(text, dtype="uint8")}

    def from_arrays(self, arrays):
        """Takes the records that `to_arrays` described, in place of its own.

        Args:
            arrays: What it returned.
        """
        text = bytes(np.array(arrays["ledger"], dtype="uint8"))
        self.epochs = json.loads(text) if text else []


def _metric_columns(epochs):
    """Titles and keys of the metrics, those of validation beside theirs."""
    keys = {key: 0 for each in epochs for key in each.get("metrics") or ()}
    columns = []
    for key in keys:
        if key.startswith("val_") and key[4:] in keys:
            continue
        columns.append((key, key))
        if f"val_{key}" in keys:
            columns.append(("val", f"val_{key}"))
    return columns


def _overhead(record):
    """Seconds that growing added to a record's epoch."""
    return record.get("restructure_seconds", 0.0) + record.get(
        "measure_seconds", 0.0
    )


def _plain(value):
    if isinstance(value, (list, tuple)):
        return " ".join(str(int(each)) for each in value)
    return value

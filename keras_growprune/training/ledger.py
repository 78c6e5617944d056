"""What training has cost so far."""

import json

import numpy as np

# Forward pass, gradients by inputs, gradients by weights.
_PASSES = 3


class Ledger:
    """One record per epoch, or part of one, of what it cost.

    Attributes:
        epochs: List of dicts with the keys `epoch`, `examples`, `cost`,
            `flops`, `params` (fractions of the full network), `units` (width
            of each group), `gates`, `training_flops`, `full_training_flops`
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
    """

    def __init__(self, full_flops):
        self._full_flops = full_flops
        self.epochs = []
        self.traced_anew = {}

    def add(self, examples, flops, teacher_flops=0.0, **record):
        """Adds an epoch.

        Args:
            examples: Number of training examples seen.
            flops: FLOPs of the network, as a fraction of the full network's.
            teacher_flops: Multiply-adds of a teacher for one example.
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
        """Sum over the epochs of one entry."""
        return float(sum(record[key] for record in self.epochs))

    def relative_training_flops(self):
        """Training FLOPs as a fraction of what the full network would take.

        NaN before the first epoch.
        """
        full = self.total("full_training_flops")
        return self.total("training_flops") / full if full else float("nan")

    def to_arrays(self):
        text = json.dumps(self.epochs).encode()
        return {"ledger": np.frombuffer(text, dtype="uint8")}

    def from_arrays(self, arrays):
        text = bytes(np.array(arrays["ledger"], dtype="uint8"))
        self.epochs = json.loads(text) if text else []

"""How a network looked at any moment of a run."""

import numpy as np

# Share of a period in which widths move to what the period has.
_MOVING = 0.6


class GrowthMotion:
    """Widths, gates and a word for each moment of a run.

    Args:
        network: A `NetworkRows`.
        record: A `GrowthRecord`.
    """

    def __init__(self, network, record):
        self._record = record
        structures = map(record.structure, range(len(record.costs)))
        self._widths = np.array([network.widths(each) for each in structures])

    def at(self, moment):
        """What a drawing shows at a moment, in epochs.

        Returns:
            `(widths, gates, word)`; widths are between two numbers while they
            change.
        """
        record = self._record
        last = len(record.costs) - 1
        period = np.searchsorted(record.edges, moment, side="right") - 1
        period = int(np.clip(period, 0, last))
        begin, end = record.edges[period : period + 2]
        way = np.clip((moment - begin) / (end - begin) / _MOVING, 0, 1)
        way = way * way * (3 - 2 * way)  # starts and stops gently
        before, now = self._widths[max(period - 1, 0)], self._widths[period]
        widths = before + way * (now - before)
        widths = np.where(now > 0, widths, 0)  # a branch leaves at once
        return widths, record.gates[period], self._word(period)

    def _word(self, period):
        record = self._record
        settled_at = record.settled_at
        if settled_at is not None and record.edges[period] >= settled_at:
            return "settled"
        if not period:
            return "seed" if record.begins_as_seed else "start"
        # Where the cost stays, it goes on as before.
        for now, before in zip(
            record.costs[period:0:-1], record.costs[period - 1 :: -1]
        ):
            if now != before:
                return "growing" if now > before else "pruning"
        return "growing"

"""Ways to a smaller network, each from its start to the accuracy it reaches.

Each method is a generator: it yields None while it trains, so that others may
run in between, and a dict for each network that it has finished. Methods are
those of `benchmarks/methods.py`, with the same settings.
"""

import numpy as np

from pytorch_witness.growing import Growing
from pytorch_witness.growing import space_of
from pytorch_witness.library import GrowthSchedule
from pytorch_witness.library import PaperRule
from pytorch_witness.library import SaliencyRule
from pytorch_witness.networks import NETWORKS
from pytorch_witness.training import Training

_FINE_TUNING = 0.25
_SLIMMING_PENALTY = 1e-4
BATCH_SIZE = 128


class _Run:
    """One training of a job, and what it cost."""

    def __init__(self, job, images):
        self.job = job
        self.network = NETWORKS[job.network]()
        self.costs = {
            "flops": self.network.flops(),
            "params": self.network.parameters(),
        }
        self.cost = self.costs[job.measure]
        self.training = Training(self.network, images, job.seed, BATCH_SIZE)
        self.trained = 0.0  # FLOPs, in epochs of the full network
        self.epochs, self.losses = 0.0, []

    def fraction(self, measure, units=None, gates=None):
        """Share of the full network's cost that a structure has."""
        compact = self.training.compact
        units = compact.units if units is None else units
        gates = compact.gates if gates is None else gates
        widths = [np.count_nonzero(units[s]) for s in self.network.slices()]
        cost = self.costs[measure]
        return float(cost(widths, gates)) / cost.full

    def set_structure(self, units, gates):
        self.training.set_structure(units, gates)

    def narrow(self, limit, measure=None):
        """The widest uniformly narrow structure within a share of a cost."""
        cost = self.costs[measure or self.job.measure]
        gates = self.network.all_gates()
        space = space_of(self.network, cost)
        widths = space.seed_widths(limit * cost.full, gates)
        return self.network.units(widths), gates

    def train(self, epochs, rate=None, growing=None):
        """Generator that trains some epochs."""
        training = self.training
        training.start_phase(rate or self.job.learning_rate, epochs)
        parts = growing.state.parts if growing else 1
        ends = training.steps * np.arange(parts + 1) // parts
        for _ in range(epochs):
            training.start_epoch()
            loss = 0.0
            for count in np.diff(ends):
                if growing:
                    growing.begin_period()
                else:
                    training.reset_sums()
                self.trained += self.fraction("flops") * count / training.steps
                yield from training.run(count)
                if growing:
                    growing.end_period(count)
                loss += float(training.loss_sum)
            self.losses.append(round(loss / training.steps, 4))
            self.epochs += 1

    def so_far(self):
        """What was trained: FLOPs, epochs and their losses."""
        return self.trained, self.epochs, self.losses

    def row(self, method=None, budget=None):
        """What was reached.

        Args:
            method: Name, if not that of the job.
            budget: The budget, if the job has several.
        """
        job, compact = self.job, self.training.compact
        return {
            "network": job.network,
            "method": method or job.method,
            "measure": job.measure,
            "budget": budget or job.budgets[0],
            "seed": job.seed,
            "epochs": job.epochs,
            "trained_epochs": self.epochs,
            "accuracy": round(self.training.accuracy(), 2),
            "loss": self.losses[-1],
            "flops": round(self.fraction("flops"), 4),
            "params": round(self.fraction("params"), 4),
            "training_flops": round(self.trained / job.epochs, 4),
            "widths": [
                int(np.count_nonzero(compact.units[s]))
                for s in self.network.slices()
            ],
            "gates": [int(each) for each in compact.gates],
            "losses": self.losses,
        }


def _train_plain(run, units, gates, epochs=None):
    run.set_structure(units, gates)
    return run.train(epochs or run.job.epochs)


def full(job, images):
    """The full network."""
    run = _Run(job, images)
    yield from _train_plain(run, *run.narrow(1.0))
    yield run.row()


def narrow(job, images):
    """The uniformly narrow network of the same final cost."""
    run = _Run(job, images)
    yield from _train_plain(run, *run.narrow(*job.budgets))
    yield run.row()


def narrow_long(job, images):
    """The narrow network, for the full network's training FLOPs."""
    run = _Run(job, images)
    structure = run.narrow(*job.budgets)
    epochs = round(job.epochs / run.fraction("flops", *structure))
    yield from _train_plain(run, *structure, epochs)
    yield run.row()


def _narrow_as_many_flops(job, images, row):
    """The narrow network of as many FLOPs as one that was grown."""
    run = _Run(job, images)
    yield from _train_plain(run, *run.narrow(row["flops"], "flops"))
    yield run.row("narrow_as_many_flops")


def _from_scratch(job, images, row):
    """The structure of a network that was grown, trained anew."""
    run = _Run(job, images)
    units = run.network.units(row["widths"])
    yield from _train_plain(run, units, np.array(row["gates"], bool))
    yield run.row(f"{job.method}_from_scratch")


def _grow(job, images, rule=None, schedule=None, epochs=None):
    """Grows a network; returns its row as well."""
    run, (budget,) = _Run(job, images), job.budgets
    rule, epochs = rule or SaliencyRule(), epochs or job.epochs
    growing = Growing(
        run.training,
        rule,
        schedule or rule.default_schedule(job.measure, budget),
        run.cost,
        budget * run.cost.full,
        epochs,
        job.seed,
    )
    yield from run.train(epochs, growing=growing)
    row = run.row()
    yield row
    return row


def grown(job, images):
    """Grown and pruned by the default rule; its structure from scratch; and
    the narrow network of as many FLOPs, where parameters are bounded."""
    row = job.found
    if row is None:
        row = yield from _grow(job, images)
    yield from _from_scratch(job, images, row)
    if job.measure != "flops":
        yield from _narrow_as_many_flops(job, images, row)


def grown_long(job, images):
    """The default rule, for the full network's training FLOPs."""
    schedule = SaliencyRule().default_schedule(job.measure, *job.budgets)
    epochs = round(job.epochs / _mean_cost(schedule, *job.budgets))
    return _grow(job, images, epochs=epochs)


def _mean_cost(schedule, budget, moments=1000):
    """Mean cost over a run, as a fraction of the full network's."""
    return float(
        np.mean([schedule.target(i, moments, budget) for i in range(moments)])
    )


def pruned(job, images):
    """From the full network down to the budget, by the default rule."""
    schedule = GrowthSchedule(seed_fraction=1.0, peak=1.0, peak_at=0.0)
    return _grow(job, images, schedule=schedule)


def paper(job, images):
    """The rule of Yuan et al. (ICLR 2021)."""
    return _grow(job, images, PaperRule())


def _prune_and_fine_tune(job, images, penalty, importance):
    """Trains the full network, keeps the most important units, trains on."""
    tuning = max(1, round(_FINE_TUNING * job.epochs))
    first = yield from _train_to_prune(job, images, penalty, tuning)
    order = np.argsort(importance(first["store"].network, first["store"]))
    for budget in job.budgets:
        yield from _fine_tune(job, images, first, order, budget, tuning)


def _train_to_prune(job, images, penalty, tuning):
    """Trains for all epochs but the last ones; returns what is left of it."""
    run = _Run(job, images)
    run.training.scale_penalty = penalty
    yield from _train_plain(run, *run.narrow(1.0), job.epochs - tuning)
    run.training.write_back()
    return {"store": run.training.store, "run": run.so_far()}


def _fine_tune(job, images, first, order, budget, tuning):
    run = _Run(job, images)
    run.training.store.take_over(first["store"])
    run.trained, run.epochs, losses = first["run"]
    run.losses = list(losses)
    units = _most_important(run, order, budget)
    run.set_structure(units, run.network.all_gates())
    yield from run.train(tuning, 0.1 * job.learning_rate)
    yield run.row(budget=budget)


def _most_important(run, order, budget):
    """The units that are left when just enough are gone."""
    gates, rank = run.network.all_gates(), np.argsort(order)

    def without(count):
        units = np.ones(len(order), bool)
        units[order[:count]] = False
        for part in run.network.slices():  # each group keeps one at least
            if not units[part].any():
                units[part.start + np.argmax(rank[part])] = True
        return units

    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        cost = run.fraction(run.job.measure, without(middle), gates)
        low, high = (low, middle) if cost <= budget else (middle + 1, high)
    return without(low)


def l1_pruning(job, images):
    """Filters with the smallest L1 norms go (Li et al., ICLR 2017)."""

    def importance(network, store):
        result = np.zeros(sum(network.sizes))
        for group, part in enumerate(network.slices()):
            norms = sum(
                store.values["kernel", i].abs().sum((1, 2, 3)).cpu().numpy()
                for i, each in enumerate(network.convolutions)
                if each.outputs == group
            )
            # The same share of each group goes.
            result[part] = np.argsort(np.argsort(norms)) / len(norms)
        return result

    return _prune_and_fine_tune(job, images, 0.0, importance)


def slimming(job, images):
    """Scales of norms under an L1 penalty decide (Liu et al., ICCV 2017)."""

    def importance(network, store):
        result = np.zeros(sum(network.sizes))
        slices = network.slices()
        for i, each in enumerate(network.norms):
            scales = store.values["gamma", i].abs().cpu().numpy()
            result[slices[each.group]] += scales
        return result

    return _prune_and_fine_tune(job, images, _SLIMMING_PENALTY, importance)


METHODS = {
    method.__name__: method
    for method in (
        full,
        narrow,
        grown,
        l1_pruning,
        slimming,
        paper,
        pruned,
        grown_long,
        narrow_long,
    )
}

"""What is trained: networks, budgets, epochs. No PyTorch in here."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Job:
    """One method with one seed.

    Attributes:
        network: Key of `NETWORKS`.
        method: Key of `METHODS`.
        measure: What budgets bound, `"flops"` or `"params"`.
        budgets: Fractions of the full network's. Methods that train one
            network first and cut it then take several.
        epochs: Epochs of an ordinary training.
        seed: Seed.
        learning_rate: Initial one, of half a cosine.
        found: Row of the grown network, if only what belongs to it is still
            to be trained.
    """

    network: str
    method: str
    measure: str
    budgets: tuple
    epochs: int
    seed: int
    learning_rate: float = 0.1
    found: dict | None = None


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One network and what it is to be reduced to."""

    measure: str
    budgets: tuple
    epochs: int


EXPERIMENTS = {
    "resnet20": Experiment("flops", (0.5, 0.25), 30),
    "vgg16": Experiment("params", (0.05,), 20),
    "resnet56": Experiment("flops", (0.5,), 15),
    "wrn28_10": Experiment("params", (0.09,), 20),
}
# What each method trains, for each budget; in this order.
METHODS = {
    "full": ("full",),
    "narrow": ("narrow",),
    "grown": ("grown", "grown_from_scratch"),
    "l1_pruning": ("l1_pruning",),
    "slimming": ("slimming",),
    "paper": ("paper",),
    "pruned": ("pruned",),
    "grown_long": ("grown_long",),
    "narrow_long": ("narrow_long",),
}
_SHARE_A_TRAINING = "l1_pruning", "slimming"
_BY_TRAINING_FLOPS = "grown_long", "narrow_long"


def jobs_of(network, methods, seeds, epochs=None, rows=()):
    """Jobs of one network whose rows are not all there yet."""
    experiment = EXPERIMENTS[network]
    epochs = epochs or experiment.epochs
    measure = experiment.measure
    done = {key_of(row): row for row in rows}
    jobs = []
    for method in methods:
        if method in _BY_TRAINING_FLOPS and measure != "flops":
            continue
        groups = [(budget,) for budget in experiment.budgets]
        if method in _SHARE_A_TRAINING:
            groups = [experiment.budgets]
        elif method == "full":
            groups = [(None,)]
        for budgets in groups:
            for seed in seeds:
                job = Job(network, method, measure, budgets, epochs, seed)
                found = done.get(keys_of(job)[0])
                if not all(key in done for key in keys_of(job)):
                    jobs.append(dataclasses.replace(job, found=found))
    return jobs


def keys_of(job):
    """Keys of the rows that a job writes, in this order."""
    names = METHODS[job.method]
    if job.method == "grown" and job.measure != "flops":
        names += ("narrow_as_many_flops",)
    return [
        (job.network, name, job.measure, budget, job.seed, job.epochs)
        for name in names
        for budget in job.budgets
    ]


def key_of(row):
    names = "network", "method", "measure", "budget", "seed", "epochs"
    return tuple(row[name] for name in names)

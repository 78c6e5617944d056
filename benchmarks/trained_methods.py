"""Ways to make a trained network smaller in a few more epochs.

Every method is a function of a `TrainedTask` and a seed. It begins with the
network that was trained with that seed, sees the same data in the same order,
for as many epochs, and returns a cell, see `cell_of`.
"""

import functools

import importance
from methods import BUDGET
from methods import SLIMMING_PENALTY

import keras_growprune as kgp

# Initial learning rates, as fractions of that of the training. Each was
# chosen by accuracy on images held out, for each method alone.
_RATE = 0.4
_NEVER = kgp.GrowthSchedule(1.0, 1.0, 0.5, 1.0, restructure_every=10**9)


def cell_of(task, model, run, training_flops):
    """What a method reached.

    Args:
        task: The `TrainedTask`.
        model: The final plain network.
        run: What `task.train` returned.
        training_flops: FLOPs of the further epochs, relative to those of as
            many epochs of the full network.
    """
    return {
        **task.accuracies(model),
        **run,
        "training_flops": training_flops,
        "flops": task.relative_flops(model),
        "params": model.count_params() / task.plain().count_params(),
    }


def given(task, seed):
    """The network as it was trained."""
    model = task.plain()
    run = task.train(model, seed)
    task.keep(model, seed)
    return cell_of(task, model, run, 0.0)


def trained_on(task, seed, rate=_RATE):
    """The same network, trained for as many more epochs, not pruned."""
    model = task.given(seed)
    run = _train(task, model, seed, rate)
    return cell_of(task, model, run, 1.0)


def _train(task, model, seed, rate, epochs=None, **fit):
    return task.train(
        model,
        seed + 1000,  # not the order in which it was trained
        epochs or task.preset.more_epochs,
        rate * task.preset.learning_rate,
        **fit,
    )


def _growable(task, seed, schedule, distillation=None):
    given = task.given(seed)
    return kgp.growable(
        given,
        kgp.Budget(flops=BUDGET),
        start="weights",
        schedule=schedule,
        seed=seed,
        distillation=distillation,
    )


def _half(task, network):
    return task.relative_flops(network) <= BUDGET


def _prune(task, model, importance_of):
    structure = importance.keep(
        model, importance_of(model), functools.partial(_half, task)
    )
    model.restructure(structure)


def l1_pruning(task, seed, rate=_RATE, distillation=None):
    """Filters with the smallest L1 norms go at once (Li et al., ICLR 2017)."""
    model = _growable(task, seed, _NEVER, distillation)
    _prune(task, model, importance.of_filters)
    run = _train(task, model, seed, rate, growth_epochs=10**9)
    training = model.ledger.relative_training_flops()
    return cell_of(task, model.compact(), run, training)


def l1_pruning_distilled(task, seed, rate=_RATE):
    """The same, with distillation from the given network."""
    return l1_pruning(task, seed, rate, distillation=True)


def slimming(task, seed, rate=_RATE):
    """Scales of norms under an L1 penalty decide (Liu et al., ICCV 2017).

    Half of the epochs under the penalty, then pruned, then the other half.
    """
    model = _growable(task, seed, _NEVER)
    first = task.preset.more_epochs // 2
    importance.penalize_norms(model, SLIMMING_PENALTY)
    _train(task, model, seed, rate, first, growth_epochs=10**9)
    importance.penalize_norms(model, None)
    _prune(task, model, importance.of_norms)
    last = task.preset.more_epochs - first
    run = _train(task, model, seed, rate, last, growth_epochs=10**9)
    training = model.ledger.relative_training_flops()
    return cell_of(task, model.compact(), run, training)


def ours(task, seed, rate=_RATE, schedule=None, distillation=None):
    """`growable(trained, start="weights")`."""
    model = _growable(task, seed, schedule, distillation)
    run = _train(task, model, seed, rate)
    training = model.ledger.relative_training_flops()
    return cell_of(task, model.compact(), run, training)


def ours_distilled(task, seed, rate=_RATE):
    """The same, with distillation from the given network."""
    return ours(task, seed, rate, distillation=True)


METHODS = {
    method.__name__: method
    for method in (
        given,
        trained_on,
        l1_pruning,
        l1_pruning_distilled,
        slimming,
        ours,
        ours_distilled,
    )
}

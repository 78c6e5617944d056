"""Ways to a smaller network, each from its start to the accuracy it reaches.

Every method is a function of a task and a seed. It sees the same data in the
same order, trains as many epochs as an ordinary training (where its name does
not say otherwise), and returns a cell, see `cell_of`.
"""

import functools

import importance
import keras
import numpy as np

import keras_growprune as kgp
from keras_growprune.growth import PaperRule
from keras_growprune.growth import SaliencyRule

BUDGET = 0.5
# Train, prune, fine-tune: together the epochs of one training.
_FINE_TUNING = 0.25
SLIMMING_PENALTY = 1e-4


def cell_of(task, model, run, phases, retrace_share=0.0):
    """What a method reached.

    Args:
        task: The `Task`.
        model: The final network.
        run: What `task.train` returned.
        phases: List of `(epochs, structure)`: what was trained, how long.
        retrace_share: Seconds of restructuring and retracing, as a fraction
            of those of training steps.

    Returns:
        A dict that JSON can hold: accuracy, what `run` has, FLOPs and
        parameters of the final network and FLOPs of the whole training (as
        fractions of those of the full network and its training), and phases
        as `[epochs, widths, gates]`.
    """
    full = task.plain()
    trained = sum(
        epochs * task.relative_flops(task.plain(structure))
        for epochs, structure in phases
    )
    return {
        **task.accuracies(model),
        **run,
        "training_flops": trained / task.preset.epochs,
        "flops": task.relative_flops(model),
        "params": model.count_params() / full.count_params(),
        "retrace_share": retrace_share,
        "phases": [
            [epochs, task.widths(structure), structure.gates.tolist()]
            for epochs, structure in phases
        ],
    }


def _train_plain(task, seed, structure, epochs=None):
    model = task.plain(structure)
    run = task.train(model, seed, epochs)
    phases = [(epochs or task.preset.epochs, structure)]
    return cell_of(task, model, run, phases)


def full(task, seed):
    """The full network."""
    return _train_plain(task, seed, task.structure())


def _half(task, network):
    return task.relative_flops(network) <= BUDGET


def narrow(task, seed):
    """The uniformly narrow network of the same final FLOPs."""
    structure = task.widest(functools.partial(_half, task))
    return _train_plain(task, seed, structure)


def narrow_long(task, seed):
    """The narrow network, trained for the full network's training cost."""
    structure = task.widest(functools.partial(_half, task))
    share = task.relative_flops(task.plain(structure))
    epochs = round(task.preset.epochs / share)
    return _train_plain(task, seed, structure, epochs)


def narrow_in_time(task, seed):
    """The uniformly narrow network of half the predicted time."""
    return _train_plain(task, seed, task.widest(_in_time(task)))


def shallow_in_time(task, seed, epochs=None):
    """The slowest network of full width within half the predicted time."""
    allowed = _in_time(task)
    choices = sorted(
        task.shallow_structures(),
        key=lambda s: task.profile.milliseconds(task.plain(s)),
    )
    fitting = [s for s in choices if allowed(task.plain(s))]
    # Where even the shallowest takes longer, it is narrow as well.
    slowest = (fitting or [task.widest(allowed, choices[0].gates)])[-1]
    return _train_plain(task, seed, slowest, epochs)


def shallow_in_time_long(task, seed):
    """The same, trained for as long as the full network takes."""
    share = 0.49  # what its training takes of the full one's, see `--time`
    return shallow_in_time(task, seed, round(task.preset.epochs / share))


def _in_time(task):
    limit = BUDGET * task.profile.milliseconds(task.plain())
    return lambda network: task.profile.milliseconds(network) <= limit


def _grow(
    task,
    seed,
    budget=None,
    epochs=None,
    rule=None,
    width_multiple=1,
    **schedule,
):
    """Grows a network.

    Args:
        task, seed: As everywhere.
        budget: A `kgp.Budget`. Defaults to half the FLOPs.
        epochs: Epochs, if not those of the preset.
        rule: The growth rule. Defaults to the library's default.
        width_multiple: As in `GrowPruneModel`.
        **schedule: What is to differ from the rule's default schedule.
    """
    budget = budget or kgp.Budget(flops=BUDGET)
    rule = rule or SaliencyRule()
    default = rule.default_schedule(budget.measure, budget.value)
    model = kgp.GrowPruneModel(
        *task.network(),
        budget,
        schedule=kgp.GrowthSchedule(
            **{
                **default.get_config(),
                **schedule,
                "restructure_every": task.preset.restructure_every,
            }
        ),
        rule=rule,
        width_multiple=width_multiple,
        seed=seed,
    )
    run = task.train(model, seed, epochs)
    total = model.ledger.total
    extra = total("restructure_seconds") + total("retrace_seconds")
    return cell_of(
        task,
        model.compact(),
        run,
        task.phases(model, epochs or task.preset.epochs),
        extra / total("seconds"),
    )


def grown(task, seed):
    """Grown and pruned by the default rule."""
    return _grow(task, seed)


def grown_in_eights(task, seed):
    """The default rule, with widths that a processor computes fast."""
    return _grow(task, seed, width_multiple=8)


def grown_in_time(task, seed, epochs=None, **schedule):
    """The default rule under half the time of a training step."""
    budget = kgp.Budget(latency=BUDGET, profile=task.profile)
    return _grow(task, seed, budget, epochs, **schedule)


def grown_in_less_time(task, seed):
    """The default rule under 0.72 of the time of a training step."""
    return _grow(task, seed, kgp.Budget(latency=0.72, profile=task.profile))


def grown_in_time_long(task, seed):
    """Under half the time, trained for as long as the full network."""
    share = 0.55  # what growing takes of the full training, see `--time`
    return grown_in_time(task, seed, round(task.preset.epochs / share))


def grown_in_time_narrow_seed(task, seed):
    """Under half the time, from a narrow seed network with all layers."""
    schedule = SaliencyRule().default_schedule("flops", BUDGET)
    return grown_in_time(task, seed, **schedule.get_config())


def grown_long(task, seed):
    """The default rule, with the full network's training cost."""
    share = 0.54  # what growing costs of it, see the ledger
    return _grow(task, seed, epochs=round(task.preset.epochs / share))


def grown_shallow_seed(task, seed):
    """The default rule, from a shallow and wide seed network."""
    return _grow(
        task,
        seed,
        seed_fraction=0.35,
        peak=0.7,
        settle_at=0.4,
        seed_shape="shallow",
    )


def paper(task, seed):
    """The rule of Yuan et al. (ICLR 2021)."""
    return _grow(task, seed, rule=PaperRule())


def from_scratch(task, seed, cell):
    """The final structure of a grown network, trained as many epochs."""
    _, widths, gates = cell["phases"][-1]
    structure = task.structure(widths, np.array(gates, bool))
    epochs = round(sum(epochs for epochs, *_ in cell["phases"]))
    return _train_plain(task, seed, structure, epochs)


def _prune_and_fine_tune(task, seed, penalty, importance_of):
    """Train the full network, keep the most important units, train on.

    Args:
        task, seed: As everywhere.
        penalty: Factor of an L1 penalty on the scales of norms.
        importance_of: Function of the model that returns the importance of
            each unit; the least important ones go, until the budget is met.
    """
    never = kgp.GrowthSchedule(1.0, 1.0, 0.5, 1.0, restructure_every=10**9)
    inputs, outputs = task.network()
    if penalty:
        importance.penalize_norms(keras.Model(inputs, outputs), penalty)
    model = kgp.GrowPruneModel(
        inputs, outputs, kgp.Budget(flops=BUDGET), never, seed=seed
    )
    tuning = max(1, round(_FINE_TUNING * task.preset.epochs))
    before = task.preset.epochs - tuning
    first = task.train(model, seed, before, growth_epochs=10**9)
    model.restructure(
        importance.keep(
            model, importance_of(model), functools.partial(_half, task)
        )
    )
    small = model.compact()
    importance.penalize_norms(small, None)  # fine-tuning is without
    second = task.train(
        small, seed, tuning, learning_rate=0.1 * task.preset.learning_rate
    )
    phases = [(before, task.structure()), (tuning, model.structure)]
    run = {
        "loss": second["loss"],
        "seconds": first["seconds"] + second["seconds"],
        "training_accuracy": first["training_accuracy"]
        + second["training_accuracy"],
    }
    return cell_of(task, small, run, phases)


def l1_pruning(task, seed):
    """Filters with the smallest L1 norms go (Li et al., ICLR 2017)."""

    return _prune_and_fine_tune(task, seed, 0.0, importance.of_filters)


def slimming(task, seed):
    """Scales of norms under an L1 penalty decide (Liu et al., ICCV 2017)."""

    return _prune_and_fine_tune(
        task, seed, SLIMMING_PENALTY, importance.of_norms
    )


def magnitude_pruning(task, seed):
    """Half of the weights become zero (`tensorflow_model_optimization`)."""
    import magnitude_pruning as other  # tf_keras: only where it is used

    return other.train(task, seed)


METHODS = {
    method.__name__: method
    for method in (
        full,
        narrow,
        narrow_long,
        l1_pruning,
        slimming,
        magnitude_pruning,
        paper,
        grown,
        grown_in_eights,
        grown_long,
        grown_shallow_seed,
        grown_in_time,
        grown_in_time_long,
        grown_in_time_narrow_seed,
        grown_in_less_time,
        narrow_in_time,
        shallow_in_time,
        shallow_in_time_long,
    )
}
# Methods that go by the time of a training step.
IN_TIME = (
    "grown_in_time",
    "grown_in_time_long",
    "grown_in_time_narrow_seed",
    "grown_in_less_time",
    "narrow_in_time",
    "shallow_in_time",
    "shallow_in_time_long",
)
# Methods whose final structure is trained from scratch as well.
GROWN = (
    "grown",
    "grown_in_eights",
    "grown_in_time",
    "grown_in_time_narrow_seed",
    "grown_in_less_time",
    "grown_long",
    "grown_shallow_seed",
    "paper",
)

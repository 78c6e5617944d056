"""Ways to a smaller network, each from its start to the accuracy it reaches.

Every method is a function of a task and a seed. It sees the same data in the
same order, trains as many epochs as an ordinary training (where its name does
not say otherwise), and returns a cell, see `cell_of`.
"""

import functools

import keras
import numpy as np

import keras_growprune as kgp
from keras_growprune.growth import PaperRule
from keras_growprune.growth import SaliencyRule

BUDGET = 0.5
# Train, prune, fine-tune: together the epochs of one training.
_FINE_TUNING = 0.25
_SLIMMING_PENALTY = 1e-4


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


def _grow(task, seed, budget=None, epochs=None, rule=None, **schedule):
    """Grows a network.

    Args:
        task, seed: As everywhere.
        budget: A `kgp.Budget`. Defaults to half the FLOPs.
        epochs: Epochs, if not those of the preset.
        rule: The growth rule. Defaults to the library's default.
        **schedule: What is to differ from the rule's default schedule.
    """
    budget = budget or kgp.Budget(flops=BUDGET)
    rule = rule or SaliencyRule()
    default = rule.default_schedule(budget.measure, BUDGET)
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


def grown_in_time(task, seed, epochs=None, **schedule):
    """The default rule under half the time of a training step."""
    budget = kgp.Budget(latency=BUDGET, profile=task.profile)
    return _grow(task, seed, budget, epochs, **schedule)


def grown_in_time_long(task, seed):
    """The same, trained for as long as the full network takes."""
    share = 0.55  # what growing takes of the full training, see `--time`
    return grown_in_time(task, seed, round(task.preset.epochs / share))


def grown_in_time_narrow_seed(task, seed):
    """The same, from a narrow seed network that has all layers."""
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


def _prune_and_fine_tune(task, seed, penalty, importance):
    """Train the full network, keep the most important units, train on.

    Args:
        task, seed: As everywhere.
        penalty: Factor of an L1 penalty on the scales of norms.
        importance: Function of the model that returns the importance of each
            unit; the least important ones go, until the budget is met.
    """
    never = kgp.GrowthSchedule(1.0, 1.0, 0.5, 1.0, restructure_every=10**9)
    inputs, outputs = task.network()
    for layer in keras.Model(inputs, outputs).layers:
        if penalty and isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma_regularizer = keras.regularizers.L1(penalty)
            layer.gamma.regularizer = layer.gamma_regularizer
    model = kgp.GrowPruneModel(
        inputs, outputs, kgp.Budget(flops=BUDGET), never, seed=seed
    )
    tuning = max(1, round(_FINE_TUNING * task.preset.epochs))
    before = task.preset.epochs - tuning
    first = task.train(model, seed, before, growth_epochs=10**9)
    model.restructure(_keep(model, importance(model), task))
    small = model.compact()
    for layer in small.layers:  # fine-tuning is without the L1 penalty
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.regularizer = None
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


def _keep(model, importance, task):
    """The structure of the most important units that meets the budget."""
    order = np.argsort(importance)
    low, high = 0, len(order)
    while low < high:  # fewest units to remove
        middle = (low + high) // 2
        units = _without(model, order[:middle])
        structure = kgp.Structure(units, model.structure.gates)
        if _half(task, model.untrained(structure)):
            high = middle
        else:
            low = middle + 1
    return kgp.Structure(_without(model, order[:low]), model.structure.gates)


def _without(model, removed):
    units = np.ones(model.structure.units.shape, bool)
    units[removed] = False
    for group in model.groups:  # each group keeps one at least
        if not units[group.slice].any():
            units[group.start] = True
    return units


def _norms_of_units(model, weight_of, ranks):
    """Sums over each group's writers of a number for each of its units."""
    result = np.zeros(model.structure.units.shape)
    for group in model.groups:
        values = sum(weight_of(layer) for layer in group.writers)
        if ranks:  # the same share of each group goes
            values = np.argsort(np.argsort(values)) / len(values)
        result[group.slice] = values
    return result


def l1_pruning(task, seed):
    """Filters with the smallest L1 norms go (Li et al., ICLR 2017)."""

    def importance(model):
        def norms(layer):
            return np.abs(layer.kernel.numpy()).sum(axis=(0, 1, 2))

        return _norms_of_units(model, norms, ranks=True)

    return _prune_and_fine_tune(task, seed, 0.0, importance)


def slimming(task, seed):
    """Scales of norms under an L1 penalty decide (Liu et al., ICCV 2017)."""

    def importance(model):
        norm_after = {}
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                convolution = layer.input._keras_history.operation
                norm_after[convolution.name] = layer

        def scales(layer):
            return np.abs(norm_after[layer.name].gamma.numpy())

        return _norms_of_units(model, scales, ranks=False)

    return _prune_and_fine_tune(task, seed, _SLIMMING_PENALTY, importance)


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
        grown_long,
        grown_shallow_seed,
        grown_in_time,
        grown_in_time_long,
        grown_in_time_narrow_seed,
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
    "narrow_in_time",
    "shallow_in_time",
    "shallow_in_time_long",
)
# Methods whose final structure is trained from scratch as well.
GROWN = (
    "grown",
    "grown_in_time",
    "grown_in_time_narrow_seed",
    "grown_long",
    "grown_shallow_seed",
    "paper",
)

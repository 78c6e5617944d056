"""Ways to a smaller network, each from its start to the accuracy it reaches.

Every method is a function of a task and a seed. It sees the same data in the
same order, trains as many epochs as an ordinary training (where its name does
not say otherwise), and returns a dict: accuracy, loss, seconds, FLOPs and
parameters of the final network, and the FLOPs of the whole training, as
fractions of those of the full network.
"""

import keras
import numpy as np

import keras_growprune as kgp
from keras_growprune.structure import Structure

BUDGET = 0.5
# Train, prune, fine-tune: together the epochs of one training.
_FINE_TUNING = 0.25
_SLIMMING_PENALTY = 1e-4


def _result(task, model, trainings, **more):
    """Args: `trainings`: list of `(result of train, relative FLOPs of all)`."""
    full = keras.Model(*task.network())
    return {
        "accuracy": task.accuracy(model),
        "loss": trainings[-1][0]["loss"],
        "seconds": sum(run["seconds"] for run, _ in trainings),
        "training_flops": sum(flops for _, flops in trainings),
        "flops": kgp.count_flops(model) / kgp.count_flops(full),
        "params": model.count_params() / full.count_params(),
        **more,
    }


def _relative(task, model):
    return kgp.count_flops(model) / _full_flops(task)


def _full_flops(task):
    return kgp.count_flops(keras.Model(*task.network()))


def _trained_plain(task, model, seed, epochs=None):
    run = task.train(model, seed, epochs)
    share = (epochs or task.preset.epochs) / task.preset.epochs
    return _result(task, model, [(run, share * _relative(task, model))])


def full(task, seed):
    """The full network."""
    return _trained_plain(task, keras.Model(*task.network()), seed)


def narrow(task, seed):
    """The uniformly narrow network of the same final FLOPs."""
    limit = BUDGET * _full_flops(task)
    model = task.narrow_network(kgp.count_flops, limit)
    return _trained_plain(task, model, seed)


def narrow_long(task, seed):
    """The narrow network, trained for the full network's training cost."""
    limit = BUDGET * _full_flops(task)
    model = task.narrow_network(kgp.count_flops, limit)
    epochs = round(task.preset.epochs / _relative(task, model))
    return _trained_plain(task, model, seed, epochs)


def _grow(task, seed, epochs=None, **settings):
    budget = settings.pop("budget", None) or kgp.Budget(flops=BUDGET)
    model = kgp.GrowPruneModel(
        *task.network(growable=True), budget, seed=seed, **settings
    )
    run = task.train(model, seed, epochs)
    share = (epochs or task.preset.epochs) / task.preset.epochs
    flops = share * model.ledger.relative_training_flops()
    return _result(
        task,
        model.compact(),
        [(run, flops)],
        units=[int(unit) for unit in model.structure.units],
        gates=[bool(gate) for gate in model.structure.gates],
        widths=[int(width) for width in model.widths.values()],
    )


def grown(task, seed):
    """Grown and pruned by the default rule."""
    return _grow(task, seed)


def grown_long(task, seed):
    """The default rule, with the full network's training cost."""
    share = 0.54  # what growing costs of it, see the ledger
    return _grow(task, seed, epochs=round(task.preset.epochs / share))


def grown_shallow_seed(task, seed):
    """The default rule, from a shallow and wide seed network."""
    schedule = kgp.GrowthSchedule(seed_shape="shallow")
    return _grow(task, seed, schedule=schedule)


def grown_monotonically(task, seed):
    """The default rule without a peak: it grows to the budget."""
    schedule = kgp.GrowthSchedule(peak=BUDGET, peak_at=0.3, settle_at=0.3)
    return _grow(task, seed, schedule=schedule)


def pruned_from_full(task, seed):
    """The default rule from the full network: it only prunes."""
    schedule = kgp.GrowthSchedule(1.0, 1.0, peak_at=0.0, settle_at=0.4)
    return _grow(task, seed, schedule=schedule)


def paper(task, seed):
    """The rule of Yuan et al. (ICLR 2021)."""
    return _grow(task, seed, rule="paper")


def from_scratch(task, seed, grown_cell):
    """The final structure of a grown network, trained from its beginning."""
    model = kgp.GrowPruneModel(
        *task.network(growable=True), kgp.Budget(flops=1.0), seed=seed
    )
    structure = Structure(
        np.array(grown_cell["units"], bool), np.array(grown_cell["gates"], bool)
    )
    return _trained_plain(task, model.untrained(structure), seed)


def _prune_and_fine_tune(task, seed, penalty, importance):
    """Train the full network, keep the most important units, train on.

    Args:
        task, seed: As everywhere.
        penalty: Factor of an L1 penalty on the scales of norms.
        importance: Function of the model that returns the importance of each
            unit; the least important ones go, until the budget is met.
    """
    never = kgp.GrowthSchedule(1.0, 1.0, 0.5, 1.0, restructure_every=10**9)
    inputs, outputs = task.network(growable=True)
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
    share = before / task.preset.epochs
    return _result(
        task,
        small,
        [(first, share), (second, (1 - share) * _relative(task, small))],
    )


def _keep(model, importance, task):
    """The structure of the most important units that meets the budget."""
    order = np.argsort(importance)
    limit = BUDGET * _full_flops(task)
    units = np.ones(len(importance), bool)
    low, high = 0, len(order)
    while low < high:  # fewest units to remove
        middle = (low + high) // 2
        units = _without(model, order[:middle])
        network = model.untrained(Structure(units, model.structure.gates))
        if kgp.count_flops(network) <= limit:
            high = middle
        else:
            low = middle + 1
    return Structure(_without(model, order[:low]), model.structure.gates)


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


METHODS = {
    method.__name__: method
    for method in (
        full,
        narrow,
        narrow_long,
        l1_pruning,
        slimming,
        paper,
        grown,
        grown_long,
        grown_shallow_seed,
        grown_monotonically,
        pruned_from_full,
    )
}
# Methods whose final structure is trained from scratch as well.
GROWN = ("grown", "grown_shallow_seed", "paper", "pruned_from_full")

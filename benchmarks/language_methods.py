"""Ways to a smaller language model, each from its start to its perplexity.

Every method is a function of a task and a seed. It reads the same text in the
same order, by the same schedule, as often as an ordinary training, and returns
a cell, see `cell_of`.
"""

import itertools

import importance
import keras
import numpy as np
from keras import ops

import keras_growprune as kgp

BUDGET = 0.35
# Train, prune, fine-tune: together the epochs of one training.
_FINE_TUNING = 1 / 3
_GROUP_LASSO = 1e-4
_PARTS_OF_AN_EPOCH = 4
# Of the logits that the paper's rule trains: that of networks for images.
_GATE_RATE = 0.1


def cell_of(task, model, seconds, phases):
    """What a method reached.

    Args:
        task: The `LanguageTask`.
        model: The final network.
        seconds: Seconds of all training.
        phases: List of `(epochs, structure)`: what was trained, how long.

    Returns:
        A dict that JSON can hold: perplexities, seconds, parameters and FLOPs
        of the final network and FLOPs of the whole training (as fractions of
        those of the full network and its training), and phases as `[epochs,
        widths]`.
    """
    trained = sum(
        epochs * task.relative_flops(task.plain(structure))
        for epochs, structure in phases
    )
    return {
        **task.perplexities(model),
        "params": model.count_params() / task.plain().count_params(),
        "flops": task.relative_flops(model),
        "training_flops": trained / task.recipe.epochs,
        "seconds": seconds,
        "phases": [
            [epochs, task.widths(structure)] for epochs, structure in phases
        ],
    }


def _train_plain(task, structure):
    model = task.plain(structure)
    seconds = task.train(model)
    phases = [(task.recipe.epochs, structure)]
    return cell_of(task, model, seconds, phases)


def full(task, seed):
    """The full network."""
    del seed
    return _train_plain(task, task.structure())


def narrow(task, seed):
    """The uniformly narrow network of as many parameters."""
    del seed
    return _train_plain(task, task.widest(_fits(task)))


def _fits(task):
    limit = BUDGET * task.plain().count_params()
    return lambda network: network.count_params() <= limit


def _grow(task, seed, rule="saliency", **schedule):
    model = kgp.GrowPruneModel(
        *task.network(),
        kgp.Budget(params=BUDGET),
        schedule=kgp.GrowthSchedule.around(
            BUDGET, restructure_every=1 / _PARTS_OF_AN_EPOCH, **schedule
        ),
        rule=rule,
        seed=seed,
    )
    seconds = task.train(model, gate_rate=_GATE_RATE)
    phases = task.phases(model, task.recipe.epochs)
    return cell_of(task, model.compact(), seconds, phases)


def grown(task, seed):
    """Grown and pruned by the default rule."""
    return _grow(task, seed)


def paper(task, seed):
    """The rule of Yuan et al. (ICLR 2021), which samples for longer."""
    return _grow(task, seed, rule="paper", settle_at=0.8)


def from_scratch(task, seed, cell):
    """The final structure of a grown network, trained from its beginning."""
    del seed
    return _train_plain(task, task.structure(cell["phases"][-1][1]))


class GroupLasso(kgp.GrowPruneModel):
    """Penalizes the norm of all weights of a unit, for each unit."""

    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        return loss + _GROUP_LASSO * sum(map(ops.sum, _unit_norms(self)))


def _unit_norms(model):
    """Norms of all weights of each unit, layer by layer.

    Of a unit of an LSTM: its columns in the kernels, its row in the recurrent
    kernel and its row in the layer that reads it; of an embedding its column
    and that row.
    """
    layers = [layer for layer in model.layers if layer.trainable_variables]
    result = []
    for layer, reader in itertools.pairwise(layers):
        if isinstance(layer, keras.layers.LSTM):
            cell, units = layer.cell, layer.units
            kernels = ops.concatenate([cell.kernel, cell.recurrent_kernel])
            kernels = ops.reshape(ops.square(kernels), (-1, 4, units))
            squares = ops.sum(kernels, axis=(0, 1))
            rows = ops.square(ops.convert_to_tensor(cell.recurrent_kernel))
            squares = squares + ops.sum(rows, axis=1)
        else:
            table = ops.convert_to_tensor(layer.embeddings)
            squares = ops.sum(ops.square(table), axis=0)
        is_lstm = isinstance(reader, keras.layers.LSTM)
        kernel = reader.cell.kernel if is_lstm else reader.kernel
        rows = ops.square(ops.convert_to_tensor(kernel))
        squares = squares + ops.sum(rows, axis=1)
        result.append(ops.sqrt(squares + 1e-12))
    return result


def group_lasso(task, seed):
    """Structures that a group lasso empties go (Wen et al., ICLR 2018)."""
    never = kgp.GrowthSchedule(1.0, 1.0, 0.5, 1.0, restructure_every=10**9)
    model = GroupLasso(
        *task.network(), kgp.Budget(params=BUDGET), never, seed=seed
    )
    tuning = max(1, round(_FINE_TUNING * task.recipe.epochs))
    before = task.recipe.epochs - tuning
    seconds = task.train(model, before, growth_epochs=10**9)
    # The groups of the model are its layers, in the same order.
    norms = [norm.numpy() for norm in _unit_norms(model)]
    relative = np.concatenate([norm / norm.mean() for norm in norms])
    model.restructure(importance.keep(model, relative, _fits(task)))
    small = model.compact()
    seconds += task.train(small, tuning, first_epoch=before)
    phases = [(before, task.structure()), (tuning, model.structure)]
    return cell_of(task, small, seconds, phases)


METHODS = {
    method.__name__: method
    for method in (full, narrow, group_lasso, paper, grown)
}
# Methods whose final structure is trained from scratch as well.
GROWN = ("grown",)

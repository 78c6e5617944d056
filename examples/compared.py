"""Which networks an example of a large job trains, within which budget."""

import pathlib

import keras
import numpy as np
from absl import app
from absl import flags

import keras_growprune as kgp

FLAGS = flags.FLAGS
flags.DEFINE_list(
    "networks", ["grown"], "What to train: full, narrow and grown."
)
flags.register_validator(
    "networks",
    lambda names: bool(names) and set(names) <= {"full", "narrow", "grown"},
    "must be some of full, narrow and grown",
)
flags.DEFINE_float(
    "budget", 0.5, "Cost of the final network, of the full one's."
)
flags.DEFINE_enum("measure", "flops", ["flops", "params"], "What is bounded.")
flags.DEFINE_enum("rule", "saliency", ["saliency", "paper"], "Growth rule.")
flags.DEFINE_integer("width_multiple", 8, "Widths are multiples of this.")
flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "mixed_bfloat16", "mixed_float16"],
    "Mixed ones compute in 16 bits: bfloat16 on TPUs and newer GPUs.",
)
flags.DEFINE_integer("seed", 0, "Seed of weights, order and growing.")
flags.DEFINE_string(
    "backup",
    None,
    "Folder for backups of the growing network, of this run alone: started "
    "again by the same command, it goes on after its last epoch.",
)


def prepare(strategy):
    """Refuses what cannot be trained, and sets the precision.

    Args:
        strategy: A `strategies.Strategy`.
    """
    if set(FLAGS.networks) != {"grown"} and not strategy.trains_plain_networks:
        raise app.UsageError(
            "Plain Keras does not train on several workers: --networks=grown."
        )
    keras.config.set_dtype_policy(FLAGS.precision)


def made(strategy, make):
    """What a function makes, for a strategy, with the seed of the flags."""
    with strategy.scope():
        keras.utils.set_random_seed(FLAGS.seed)
        return make()


def narrow_network(make, full):
    """The widest uniformly narrow network within the budget.

    Args:
        make: Function of a factor on all widths that returns a plain model.
        full: The full network.
    """

    def cost(model):
        is_flops = FLAGS.measure == "flops"
        return kgp.count_flops(model) if is_flops else model.count_params()

    limit = FLAGS.budget * cost(full)
    for width in np.arange(63, 0, -1) / 64:
        model = make(float(width))
        if cost(model) <= limit:
            return model
    raise app.UsageError(f"No narrow network is within --budget={FLAGS.budget}")


def growing_arguments():
    """Arguments of `GrowPruneModel` and `growable`, from the flags."""
    return dict(
        budget=kgp.Budget(**{FLAGS.measure: FLAGS.budget}),
        rule=FLAGS.rule,
        width_multiple=FLAGS.width_multiple,
        seed=FLAGS.seed,
    )


def backups():
    """Callbacks of `fit` that keep a growing network from being lost.

    They stay until `delete` is called with them, once all is written.
    """
    if not FLAGS.backup:
        return []
    return [
        kgp.callbacks.BackupAndRestore(FLAGS.backup, delete_checkpoint=False)
    ]


def delete(backups):
    """Removes the backups of a run whose result is written."""
    for backup in backups:
        backup.delete()


def write(model, folder):
    """Writes a grown network as a SavedModel and as a plain Keras model.

    Args:
        model: The `GrowPruneModel`.
        folder: Where to.

    Returns:
        `(the plain Keras model, the folder as a path)`.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model.structure_summary()
    small = model.compact()
    small.save(folder / "compact.keras")
    model.export(folder / "saved_model", overwrite=True, verbose=False)
    print(f"wrote {folder / 'compact.keras'} and {folder / 'saved_model'}")
    return small, folder

r"""How well a device profile predicts the time of networks.

    python benchmarks/latency.py

Measures a profile of this machine for a ResNet-20, then times compact networks
of other random structures, and prints predicted and measured times side by
side, with the median and the 90th percentile of the relative error.
"""

import platform

import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags

import keras_growprune as kgp
from keras_growprune.devices import time_models

FLAGS = flags.FLAGS
flags.DEFINE_list(
    "runtimes", ["tensorflow-train", "tensorflow", "litert"], "What to measure."
)
flags.DEFINE_integer("structures", 20, "Random networks to predict.")
flags.DEFINE_integer("seconds", 60, "Time for the profile.")
flags.DEFINE_integer("rounds", 9, "Rounds of the measurement.")
flags.DEFINE_integer("batch_size", 128, "Of TensorFlow; LiteRT has 1.")
flags.DEFINE_integer("seed", 1, "Seed of the random networks.")


def random_structure(model, random):
    """Widths of a fifth or more of the full ones, each block with odds of 3:1.

    Some networks are as narrow everywhere, others differ from layer to layer.
    """
    units = np.zeros(model.structure.units.shape, bool)
    uniform = random.uniform(0.2, 1.0) if random.random() < 0.5 else None
    for group in model.groups:
        share = uniform or random.uniform(0.2, 1.0)
        width = max(1, round(group.size * share))
        units[group.start : group.start + width] = True
    gates = random.random(model.structure.gates.shape) < 0.75
    return kgp.Structure(units, gates)


def main(argv):
    del argv
    print(
        f"Keras {keras.__version__}, TensorFlow {tf.__version__}, Python "
        f"{platform.python_version()}, {platform.machine()}; ResNet-20, "
        f"{FLAGS.structures} random structures"
    )
    model = kgp.GrowPruneModel(
        *kgp.models.resnet(depth=20), kgp.Budget(flops=0.5), seed=0
    )
    for runtime in FLAGS.runtimes:
        _check(model, runtime)


def _check(model, runtime):
    """Measures a profile; prints what it predicts beside what is measured."""
    batch_size = 1 if runtime == "litert" else FLAGS.batch_size
    profile = kgp.DeviceProfile.measure(
        model, runtime, batch_size, seconds=FLAGS.seconds, verbose=0
    )
    random = np.random.default_rng(FLAGS.seed)
    full = kgp.Structure(
        np.ones(model.structure.units.shape, bool),
        np.ones(model.structure.gates.shape, bool),
    )
    structures = [full]
    structures += [
        random_structure(model, random) for _ in range(FLAGS.structures)
    ]
    networks = [model.untrained(structure) for structure in structures]
    predicted = np.array([profile.milliseconds(net) for net in networks])
    measured = np.array(
        time_models(networks, runtime, batch_size, rounds=FLAGS.rounds)
    )
    print(f"\n{runtime}, batch {batch_size}, {profile!r}")
    for one, other in zip(predicted[1:], measured[1:]):
        print(
            f"  predicted {one:8.2f} ms, measured {other:8.2f} ms; of the full "
            f"network {one / predicted[0]:6.1%}, {other / measured[0]:6.1%}"
        )
    ratios = predicted / measured
    _print_errors("milliseconds", ratios[1:])
    # The machine's speed may have changed since the profile was taken.
    _print_errors("fraction of the full network's", ratios[1:] / ratios[0])


def _print_errors(name, ratios):
    errors = np.abs(ratios - 1)
    print(
        f"  error of the {name}: median {np.median(errors):.1%}, "
        f"90th percentile {np.quantile(errors, 0.9):.1%}"
    )


if __name__ == "__main__":
    app.run(main)

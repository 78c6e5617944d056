r"""From training to every format that devices take, in one command.

    python examples/deploy.py
    python examples/deploy.py --dataset=cifar10 --model=resnet20 --width=1 \
        --augment --measure=latency --runtime=litert --budget=0.5

Trains the full network and one that grows under the budget, as
`image_classification.py` does (whose flags it takes), writes both as
SavedModel, LiteRT (float and full-integer) and ONNX files, each verified as it
is written, runs each file on the test images in its own runtime, and times the
two networks in turn. Prints a table, and draws it.

ONNX needs the extra `keras_growprune[onnx]`, the picture
`keras_growprune[viz]`; what is not installed is left out, and said so.
"""

import functools
import pathlib

import deployment_picture
import image_classification
import image_data
import keras
import numpy as np
import strategies
from absl import app
from absl import flags
from absl import logging

import keras_growprune as kgp
from keras_growprune import devices

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(image_classification)
flags.DEFINE_string("folder", "deployed", "Folder for what is written.")
flags.DEFINE_integer(
    "calibration", 200, "Training images that tell ranges for int8."
)
flags.DEFINE_integer("rounds", 25, "How often latencies are timed.")

# Title: arguments of `export`. Full-integer files get images to calibrate on.
FORMATS = {
    "TensorFlow": dict(format="tf_saved_model"),
    "LiteRT": dict(format="litert"),
    "LiteRT int8": dict(format="litert", quantization="int8"),
    "ONNX Runtime": dict(format="onnx"),
}


def train_networks(data, strategy):
    """Trains both networks.

    Returns:
        Dict of plain networks by name, `full` and `grown`.
    """
    (images, labels), _ = data
    shape, classes = images.shape[1:], int(labels.max()) + 1
    network = functools.partial(image_classification.network, shape, classes)
    profile = None
    if FLAGS.measure == "latency":
        profile = image_classification.device_profile(shape, classes)
    print(
        f"two networks, {FLAGS.epochs} epochs of {len(images):,} images each, "
        "then files of both in every format"
    )
    keras.utils.set_random_seed(FLAGS.seed)
    full = keras.Model(*network())
    print(f"training the full network ({full.count_params():,} parameters)")
    image_classification.train(full, data, FLAGS.seed, strategy)
    keras.utils.set_random_seed(FLAGS.seed)
    model = kgp.GrowPruneModel(
        *network(growable=True),
        kgp.Budget(**{FLAGS.measure: FLAGS.budget}, profile=profile),
        rule=FLAGS.rule,
        width_multiple=FLAGS.width_multiple,
    )
    print(f"growing one within {FLAGS.budget:.0%} of the {FLAGS.measure}")
    image_classification.train(model, data, FLAGS.seed, strategy)
    return {"full": full, "grown": model.compact()}


def write_files(networks, images, folder):
    """Writes each network in each format that can be written here.

    Returns:
        Dict of the formats' titles: dict of paths by network.
    """
    files = {}
    for title, arguments in FORMATS.items():
        arguments = {**arguments}
        if arguments.get("quantization") == "int8":
            arguments["representative_dataset"] = images[: FLAGS.calibration]
        ending = kgp.export.FORMATS[arguments["format"]]
        name = title.lower().replace(" ", "_")
        try:
            for network, model in networks.items():
                path = folder / network / f"{name}{ending}"
                kgp.export.export_model(
                    model,
                    path,
                    inputs=images[: FLAGS.calibration],
                    overwrite=True,
                    **arguments,
                )
                files.setdefault(title, {})[network] = path
        except ImportError as error:
            print(f"left out: {error}")
            files.pop(title, None)
    return files


def accuracy(path, images, labels):
    """Share of right answers of an exported file."""
    file = kgp.export.open_exported(path)
    (name,) = file.inputs
    (logits,) = file.run({name: images}).values()
    return float(np.mean(np.argmax(logits, axis=-1) == labels))


def measure(files, test):
    """What each file is worth.

    Returns:
        Dict of the formats' titles: dict by network of dicts with `accuracy`,
        `bytes` and `milliseconds`.
    """
    result = {}
    for title, paths in files.items():
        times = devices.time_files(list(paths.values()), rounds=FLAGS.rounds)
        result[title] = {
            network: {
                "accuracy": accuracy(path, *test),
                "bytes": kgp.export.size_on_disk(path),
                "milliseconds": time,
            }
            for (network, path), time in zip(paths.items(), times)
        }
    return result


def print_table(networks, measured):
    """Prints both networks side by side."""
    flops = {name: kgp.count_flops(model) for name, model in networks.items()}
    params = {name: model.count_params() for name, model in networks.items()}
    print(f"\n{'':<14}{'full':>14}{'grown':>14}{'':>8}")
    rows = [
        ("FLOPs", flops, "{:,}"),
        ("parameters", params, "{:,}"),
    ]
    for title, by_network in measured.items():
        rows.append((title,))
        for key, label, form in (
            ("accuracy", "accuracy", "{:.2%}"),
            ("bytes", "kilobytes", "{:,.1f}"),
            ("milliseconds", "latency, ms", "{:.4f}"),
        ):
            scale = 1e-3 if key == "bytes" else 1
            values = {k: scale * v[key] for k, v in by_network.items()}
            rows.append((f"  {label}", values, form))
    for label, *row in rows:
        if not row:
            print(label)
            continue
        values, form = row
        full, grown = (form.format(values[name]) for name in networks)
        share = f"{values['grown'] / values['full']:.2f}"
        is_share = "accuracy" not in label
        print(f"{label:<14}{full:>14}{grown:>14}{share if is_share else '':>8}")
    print(
        f"latencies: one image, median of {FLAGS.rounds} rounds taken in turn; "
        "LiteRT and ONNX Runtime on one thread"
    )


def deploy(strategy):
    """Trains, writes, measures and tells."""
    data = image_data.load(FLAGS.dataset, FLAGS.seed)
    data = tuple(x[: FLAGS.examples] for x in data[0]), data[1]
    networks = train_networks(data, strategy)
    folder = pathlib.Path(FLAGS.folder)
    files = write_files(networks, data[0][0], folder)
    measured = measure(files, data[1])
    print_table(networks, measured)
    picture = folder / "deployed.png"
    if deployment_picture.draw(measured, picture):
        print(f"drew {picture}")


def main(argv):
    del argv
    logging.set_verbosity(logging.ERROR)
    if FLAGS.strategy not in (None, "none", "one_device"):
        raise app.UsageError("Files are written and timed on one device.")
    strategies.run(deploy)


if __name__ == "__main__":
    app.run(main)

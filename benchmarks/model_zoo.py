r"""Every architecture family of `keras.applications`: does it grow, exactly?

    python benchmarks/model_zoo.py             # all, about five minutes
    python benchmarks/model_zoo.py --models=ResNet50 --step
    python benchmarks/model_zoo.py --report    # and into RESULTS.md

Each network is built without weights, converted, cut to a random half of its
units and of its gated layers, and compared, before and after: the converted
network with the given one, the compact network with the one that grows, and
with a witness of full size in which what left has zeros where it is read and
garbage where it is written. And what `predict` answers after the cut, traced
before it with all units, is compared with what the compact network answers.
"""

import pathlib
import platform
import statistics
import time

import keras
import numpy as np
import report
import tensorflow as tf
import witness
from absl import app
from absl import flags

import keras_growprune as kgp

FLAGS = flags.FLAGS
# The smallest images that the networks take; the rest gets 64 x 64.
SIZES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
MODELS = """
    ResNet50 ResNet50V2 VGG16 MobileNet MobileNetV2 MobileNetV3Small
    MobileNetV3Large DenseNet121 EfficientNetB0 EfficientNetV2B0 InceptionV3
    InceptionResNetV2 Xception NASNetMobile ConvNeXtTiny
""".split()
COLUMNS = [
    "network",
    "groups",
    "gates",
    "growable weights",
    "error: converted",
    "compact",
    "witness",
    "one trace",
    "FLOPs, millions",
    "after",
    "converted in s",
    "restructured in s",
]
flags.DEFINE_list("models", MODELS, "Names in `keras.applications`.")
flags.DEFINE_bool("step", False, "Also time training steps at full size.")
flags.DEFINE_bool("report", False, "Write the table into RESULTS.md.")
flags.DEFINE_integer("steps", 15, "Timed steps of each network.")


def build(name, size=None):
    size = size or SIZES.get(name, 64)
    keras.utils.set_random_seed(0)
    network = getattr(keras.applications, name)
    return network(weights=None, input_shape=(size, size, 3), classes=10)


def randomize(model, seed=0):
    """Statistics of norms as after training, so that errors would show.

    Variances are large: at fresh weights residual sums grow from block to
    block, up to infinity where there are eighty.
    """
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.name == "gamma":
            variable.assign(random.uniform(0.8, 1.2, variable.shape))
        elif variable.name == "moving_variance":
            variable.assign(random.uniform(2.0, 4.0, variable.shape))
        elif variable.name in ("beta", "moving_mean", "bias"):
            variable.assign(random.normal(0, 0.1, variable.shape))


def random_half(model, seed=0):
    """A structure with about half of the units and of the gated layers."""
    random = np.random.default_rng(seed)
    units = random.random(model.structure.units.shape) < 0.5
    for group in model.groups:
        units[group.start + random.integers(group.size)] = True
        units[group.start + random.integers(group.size)] = True
    gates = random.random(model.structure.gates.shape) < 0.5
    return kgp.Structure(units, gates)


def difference(one, other, images):
    """Largest difference of outputs, relative to the largest output."""
    a, b = (np.array(model(images, training=False)) for model in (one, other))
    return float(np.abs(a - b).max() / np.abs(a).max())


def looks_at_all_channels(model):
    return any(
        isinstance(layer, keras.layers.LayerNormalization)
        for layer in model.layers
    )


def convert(plain):
    return kgp.growable(plain, kgp.Budget(flops=0.5), start="weights", seed=0)


def check(plain):
    """Converts a network, cuts it, and compares.

    Args:
        plain: A functional Keras model.

    Returns:
        A dict with the columns of the table.
    """
    randomize(plain)
    images = np.random.default_rng(0).normal(size=(2, *plain.input_shape[1:]))
    images = images.astype("float32")
    started = time.perf_counter()
    model = convert(plain)
    converted = time.perf_counter() - started
    row = {
        "groups": len(model.groups),
        "gates": len(model.structure.gates),
        "share": model.coupling_report().growable_share,
        "convert": converted,
        "error_converted": difference(plain, model, images),
    }
    structure = random_half(model)
    # The layers that are to stay, with all of their units: then only widths
    # change, and a function that is traced now serves the rest too.
    everything = np.ones_like(structure.units)
    model.restructure(kgp.Structure(everything, structure.gates))
    model.predict_on_batch(images)
    started = time.perf_counter()
    model.restructure(structure)
    row["restructure"] = time.perf_counter() - started
    small = model.compact()
    answers = model.predict_on_batch(images)
    expected = np.array(small(images, training=False))
    row["error_trace"] = None
    if not model.coupling_report().traced_anew:
        row["error_trace"] = float(
            np.abs(answers - expected).max() / np.abs(expected).max()
        )
    row["error_compact"] = difference(model, small, images)
    if looks_at_all_channels(model):
        row["error_witness"] = None
    else:
        full = convert(plain)
        witness.make_witness(full, structure)
        full.restructure(kgp.Structure(everything, structure.gates))
        row["error_witness"] = difference(full, small, images)
    row["flops"] = kgp.count_flops(plain)
    row["flops_after"] = kgp.count_flops(small)
    return row


def entries(name, row):
    """A line of the table."""
    errors = [
        "-" if row[key] is None else f"{row[key]:.0e}"
        for key in (
            "error_converted",
            "error_compact",
            "error_witness",
            "error_trace",
        )
    ]
    return [
        name,
        str(row["groups"]),
        str(row["gates"]),
        f"{row['share']:.1%}",
        *errors,
        f"{row['flops'] / 1e6:.1f}",
        f"{row['flops_after'] / row['flops']:.3f}",
        f"{row['convert']:.1f}",
        f"{row['restructure']:.2f}",
    ]


def time_steps(name):
    """Ratios of the given network's step time to the converted one's."""
    plain = build(name)
    models = [plain, convert(plain)]
    images = np.zeros((16, *plain.input_shape[1:]), "float32")
    labels = np.zeros(16, "int32")
    data = tf.data.Dataset.from_tensors((images, labels)).repeat()
    for model in models:
        model.compile("sgd", "sparse_categorical_crossentropy")
    models[0].fit(data, steps_per_epoch=2, verbose=0)
    models[1].fit(data, steps_per_epoch=2, verbose=0, growth_epochs=1000)
    batches, ratios = iter(data), []
    for _ in range(FLAGS.steps):
        seconds = []
        for model in models:
            started = time.perf_counter()
            float(model.train_function(batches)["loss"])
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[0] / seconds[1])
    return statistics.quantiles(ratios)


def main(argv):
    del argv
    print(
        f"Keras {keras.__version__}, TensorFlow {tf.__version__}, Python "
        f"{platform.python_version()}, {platform.machine()}"
    )
    lines = [COLUMNS, ["---"] * len(COLUMNS)]
    for name in FLAGS.models:
        lines.append(entries(name, check(build(name))))
        print(*lines[-1], sep="  ", flush=True)
        keras.backend.clear_session()
        if FLAGS.step:
            low, median, high = time_steps(name)
            print(
                "speed of a step at full size, relative to the given network: "
                f"{median:.3f} ({low:.3f} to {high:.3f})"
            )
    if FLAGS.report:
        document = pathlib.Path(__file__).parent / "RESULTS.md"
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        report.insert_table(document, "model zoo", table)


if __name__ == "__main__":
    app.run(main)

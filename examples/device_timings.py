r"""A device profile of a phone, from networks that are timed on it.

    python examples/device_timings.py --write=timings --model=resnet20

writes small LiteRT files, `networks.json` (what their layers compute) and
`times.csv`, a table to fill in. Time each file on the device, with LiteRT's
own benchmark tool for instance:

    adb push timings /data/local/tmp
    adb shell /data/local/tmp/benchmark_model --num_threads=1 \
        --graph=/data/local/tmp/timings/00.tflite

write its mean milliseconds beside the file's name in `times.csv`, and

    python examples/device_timings.py --fit=timings --profile=phone.json

fits the profile. From then on a training run on any machine can have a budget
on that phone: `kgp.Budget(latency=0.5, profile=kgp.DeviceProfile.load(...))`.
"""

import csv
import functools
import json
import pathlib

from absl import app
from absl import flags

import keras_growprune as kgp
from keras_growprune import devices

FLAGS = flags.FLAGS
flags.DEFINE_string("write", None, "Folder to write the files to.")
flags.DEFINE_string("fit", None, "Folder with a `times.csv` to fit to.")
flags.DEFINE_string("profile", "device.json", "Profile to write.")
flags.DEFINE_enum(
    "model", "resnet20", ["resnet20", "resnet56", "vgg16", "wrn28"], "Network."
)
flags.DEFINE_float("width", 1.0, "Factor on all widths of the network.")
flags.DEFINE_integer("size", 32, "Height and width of images.", lower_bound=8)
flags.DEFINE_integer("count", 24, "Networks to time.", lower_bound=3)
flags.DEFINE_integer("batch_size", 1, "Examples of one call.", lower_bound=1)

_NETWORKS = {
    "resnet20": functools.partial(kgp.models.resnet, depth=20),
    "resnet56": functools.partial(kgp.models.resnet, depth=56),
    "vgg16": kgp.models.vgg16,
    "wrn28": kgp.models.wide_resnet,
}


def write_files(folder):
    """Writes what is to be timed; refuses to overwrite times."""
    table = folder / "times.csv"
    if table.exists():
        raise app.UsageError(f"{table} is there already; move it away first.")
    folder.mkdir(parents=True, exist_ok=True)
    make_network = _NETWORKS[FLAGS.model]
    model = kgp.GrowPruneModel(
        *make_network((FLAGS.size, FLAGS.size, 3), width=FLAGS.width),
        kgp.Budget(flops=0.5),
        seed=0,
    )
    layers = {}
    for network in devices.sample_networks(model, FLAGS.count):
        name = f"{len(layers):02}.tflite"
        content = devices.litert_file(network, FLAGS.batch_size)
        (folder / name).write_bytes(content)
        layers[name] = [work.to_dict() for work in devices.work_of(network)]
        print(f"wrote {folder / name}, {len(content):,} bytes", flush=True)
    content = {"batch_size": FLAGS.batch_size, "networks": layers}
    (folder / "networks.json").write_text(json.dumps(content))
    table.write_text("file,milliseconds\n" + "".join(f"{n},\n" for n in layers))


def read_times(path, names):
    """File names and milliseconds of the rows that are filled in."""
    # Spreadsheets put a mark of their own in front ("sig").
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    if not rows or rows[0] != ["file", "milliseconds"]:
        raise app.UsageError(
            f"{path} must have the columns `file,milliseconds`, with a comma "
            f"between them. Received: {rows[:1]}"
        )
    for number, row in enumerate(rows[1:], start=2):
        if len(row) < 2 or not row[1].strip():
            continue
        try:
            time = float(row[1])
        except ValueError:
            time = None
        if row[0] not in names or time is None or len(row) > 2:
            raise app.UsageError(
                f"{path}, line {number}: expected the name of a file and its "
                f"milliseconds, such as 1.25. Received: {row}"
            )
        yield row[0], time


def fit_profile(folder):
    """Fits a profile to the times that were filled in."""
    content = json.loads((folder / "networks.json").read_text())
    networks = content["networks"]
    records = [
        {"layers": networks[name], "milliseconds": time}
        for name, time in read_times(folder / "times.csv", networks)
    ]
    if len(records) < 3:
        raise app.UsageError(
            f"{folder / 'times.csv'} has times of {len(records)} networks; at "
            "least three are needed."
        )
    profile = kgp.DeviceProfile.fit(
        records, runtime="litert", batch_size=content["batch_size"]
    )
    profile.save(FLAGS.profile)
    print(
        f"{len(records)} networks, block {profile.block}, median error "
        f"{profile.error:.1%}: wrote {FLAGS.profile}"
    )


def main(argv):
    del argv
    if bool(FLAGS.write) == bool(FLAGS.fit):
        raise app.UsageError("Give one of --write=FOLDER and --fit=FOLDER.")
    if FLAGS.write:
        write_files(pathlib.Path(FLAGS.write))
    else:
        fit_profile(pathlib.Path(FLAGS.fit))


if __name__ == "__main__":
    app.run(main)

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
flags.DEFINE_integer("count", 24, "Networks to time.", lower_bound=3)
flags.DEFINE_integer("batch_size", 1, "Examples of one call.", lower_bound=1)

_NETWORKS = {
    "resnet20": lambda: kgp.models.resnet(depth=20),
    "resnet56": lambda: kgp.models.resnet(depth=56),
    "vgg16": kgp.models.vgg16,
    "wrn28": kgp.models.wide_resnet,
}


def write_files(folder):
    """Writes what is to be timed; refuses to overwrite times."""
    table = folder / "times.csv"
    if table.exists():
        raise app.UsageError(f"{table} is there already; move it away first.")
    folder.mkdir(parents=True, exist_ok=True)
    model = kgp.GrowPruneModel(
        *_NETWORKS[FLAGS.model](), kgp.Budget(flops=0.5), seed=0
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


def fit_profile(folder):
    """Fits a profile to the times that were filled in."""
    content = json.loads((folder / "networks.json").read_text())
    with open(folder / "times.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["milliseconds"]]
    records = [
        {
            "layers": content["networks"][row["file"]],
            "milliseconds": float(row["milliseconds"]),
        }
        for row in rows
    ]
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

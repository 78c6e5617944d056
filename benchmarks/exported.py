r"""Latencies of exported files: networks of cells beside the full one.

    python benchmarks/exported.py --preset=full --cells=grown_in_time-0,grown-0

Writes the full network and the final structure of each cell of
`benchmarks/cifar10.py` as LiteRT files, float and full-integer (with fresh
weights: they take as long), and times them in turn, batch 1, one thread.
"""

import json
import pathlib
import tempfile

import numpy as np
from absl import app
from absl import flags
from growing_task import GrowingTask
from task import PRESETS
from task import RESULTS

import keras_growprune as kgp
from keras_growprune import devices

FLAGS = flags.FLAGS
flags.DEFINE_enum("preset", "full", list(PRESETS), "Sizes.")
flags.DEFINE_list("cells", ["grown_in_time-0", "grown-0"], "Method and seed.")
flags.DEFINE_integer("rounds", 51, "How often each file is timed.")


class Shapes(GrowingTask):
    """The networks of a preset, without its data."""

    def network(self):
        preset = PRESETS[FLAGS.preset]
        shape = (preset.image_size, preset.image_size, 3)
        return kgp.models.resnet(shape, depth=preset.depth)


def write(network, path):
    """Writes both files; returns their paths."""
    random = np.random.default_rng(0)
    shape = (32, *network.input_shape[1:])
    settings = {
        "float": {},
        "int8": dict(
            quantization="int8",
            representative_dataset=random.normal(size=shape),
            verify=False,  # fresh weights tell no classes apart
        ),
    }
    files = {}
    for name, arguments in settings.items():
        files[name] = path.with_name(f"{path.name}_{name}.tflite")
        kgp.export.export_model(
            network, files[name], "litert", verbose=False, **arguments
        )
    return files


def main(argv):
    del argv
    task = Shapes()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        full = write(task.plain(), folder / "full")
        for name in FLAGS.cells:
            cell = json.loads(
                (RESULTS / FLAGS.preset / f"{name}.json").read_text()
            )
            _, widths, gates = cell["phases"][-1]
            network = task.plain(task.structure(widths, np.array(gates, bool)))
            files = write(network, folder / name)
            text = f"{name:<20} FLOPs {task.relative_flops(network):.2f}"
            for kind, path in files.items():
                before, after = devices.time_files(
                    [full[kind], path], rounds=FLAGS.rounds
                )
                text += (
                    f"  {kind} {before:.3f} to {after:.3f} ms "
                    f"({after / before:.2f})"
                )
            print(text, flush=True)


if __name__ == "__main__":
    app.run(main)

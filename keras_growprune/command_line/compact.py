"""`compact FILE OUTPUT`: the plain network of a growing model."""

import numpy as np
from absl import app
from absl import flags

from keras_growprune.command_line.command import Command
from keras_growprune.command_line.given_files import check_is_new
from keras_growprune.command_line.given_files import define_import
from keras_growprune.command_line.given_files import load_model
from keras_growprune.command_line.network_cost import flops_of
from keras_growprune.export import size_on_disk
from keras_growprune.files import new_aside
from keras_growprune.structure import Structure
from keras_growprune.text import count_text
from keras_growprune.text import size_text
from keras_growprune.text import table


def _run(files, options):
    path, output = files
    if not output.endswith(".keras"):
        raise app.UsageError(f"OUTPUT must end with .keras, not `{output}`")
    check_is_new(output, options.overwrite)
    model = load_model(path, options)
    if not hasattr(model, "compact"):
        raise ValueError(
            f"`{path}` is a plain model already: there is nothing to make "
            "compact. Expected: a saved `GrowPruneModel`. `report` shows what "
            "it costs, `export` writes it for a device."
        )
    plain = model.compact()
    with new_aside(output, options.overwrite) as aside:
        plain.save(aside)
    print(f"wrote {output}, {size_text(size_on_disk(output))}\n")
    print(_costs(model, plain))
    if not model.settled:
        print("The model is still growing: this is its network as it stands.")


def _costs(model, plain):
    full = model.untrained(
        Structure(
            np.ones_like(model.structure.units),
            np.ones_like(model.structure.gates),
        )
    )
    before = (full.count_params(), flops_of(full)[0])
    after = (plain.count_params(), flops_of(plain)[0])
    share = [
        "-" if None in pair else f"{pair[1] / pair[0]:.1%}"
        for pair in zip(before, after)
    ]
    rows = [
        ("full network", *map(count_text, before)),
        ("compact network", *map(count_text, after)),
        ("", *share),
    ]
    return table(("", "parameters", "FLOPs"), rows)


def _define_flags(options):
    define_import(options)
    flags.DEFINE_boolean(
        "overwrite", False, "Replaces what is at OUTPUT.", flag_values=options
    )


COMMAND = Command(
    name="compact",
    files=("FILE", "OUTPUT"),
    summary="Writes the plain network of a growing model.",
    details="FILE is a saved `GrowPruneModel`. OUTPUT, a `.keras` file, loads "
    "with Keras alone, without this library; it is written whole or not at "
    "all.",
    define_flags=_define_flags,
    run=_run,
)

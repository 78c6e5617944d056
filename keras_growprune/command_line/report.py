"""`report FILE`: what is in a file, at a glance."""

from keras_growprune.command_line.command import Command
from keras_growprune.command_line.given_files import SAVED
from keras_growprune.command_line.given_files import define_import
from keras_growprune.command_line.given_files import kind_of
from keras_growprune.command_line.given_files import load_model
from keras_growprune.command_line.network_cost import flops_of
from keras_growprune.command_line.network_cost import layer_costs
from keras_growprune.export import open_exported
from keras_growprune.export import size_on_disk
from keras_growprune.text import count_text
from keras_growprune.text import shape_text
from keras_growprune.text import size_text
from keras_growprune.text import table

TITLES = {"litert": "LiteRT", "onnx": "ONNX", "tf_saved_model": "SavedModel"}


def _run(files, options):
    (path,) = files
    kind = kind_of(path)
    size = size_text(size_on_disk(path))
    if kind != SAVED:
        print(f"{path}: {TITLES[kind]}, {size}\n\n{_ends(open_exported(path))}")
        return
    model = load_model(path, options)
    if hasattr(model, "compact"):
        print(f"{path}: growing model, {size}\n")
        model.structure_summary()
        print(_what_stays(model.coupling_report()))
    else:
        print(f"{path}: model {model.name!r}, {size}\n\n{_layers(model)}")


def _what_stays(report):
    """What cannot change its width, by reasons."""
    names = {}
    for name, reason in report.frozen.items():
        names.setdefault(reason, []).append(name)
    lines = ["", "cannot change their width:"] if names else []
    for reason, each in names.items():
        more = f" and {len(each) - 3} more" if len(each) > 3 else ""
        lines.append(f"  {', '.join(each[:3])}{more}: {reason}")
    lines.append(
        f"{report.growable_share:.1%} of the weights of convolutions and "
        "dense layers can come and go"
    )
    return "\n".join(lines)


def _layers(model):
    costs = layer_costs(model)
    flops, why = flops_of(model)
    rows = [
        (
            each.name,
            each.kind,
            "-" if each.shape is None else shape_text(each.shape),
            count_text(each.params),
            count_text(each.flops),
        )
        for each in costs
    ]
    total = ("total", "", "", count_text(model.count_params()))
    header = ("layer", "class", "output", "parameters", "FLOPs")
    text = table(header, rows, [(*total, count_text(flops))], left=3)
    note = "FLOPs are multiply-adds of one example."
    if flops is None:
        note = f"FLOPs are not known. {why}"
    return f"{text}\n{note}"


def _ends(file):
    """Inputs and outputs of an exported file."""
    rows = [
        (end, name, "?" if shape is None else shape_text(shape), dtype)
        for end, found in (("input", file.inputs), ("output", file.outputs))
        for name, (shape, dtype) in found.items()
    ]
    return table(("", "name", "shape", "type"), rows, left=4)


def _define_flags(options):
    define_import(options)


COMMAND = Command(
    name="report",
    files=("FILE",),
    summary="Shows what is in a file: widths, layers, costs.",
    details="FILE is a saved model (`.keras`, `.h5`), growing or plain, or an "
    "exported one (`.tflite`, `.onnx`, the folder of a SavedModel). FLOPs are "
    "multiply-adds of one example.",
    define_flags=_define_flags,
    run=_run,
)

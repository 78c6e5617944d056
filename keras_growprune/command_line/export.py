"""`export FILE OUTPUT`: a network for serving or for a device."""

from absl import app
from absl import flags

from keras_growprune.command_line.command import Command
from keras_growprune.command_line.given_files import check_is_new
from keras_growprune.command_line.given_files import define_import
from keras_growprune.command_line.given_files import load_model
from keras_growprune.command_line.report import TITLES
from keras_growprune.command_line.samples_file import read_samples
from keras_growprune.export import FORMATS
from keras_growprune.export import export_model
from keras_growprune.export import size_on_disk
from keras_growprune.export.file_formats import chosen_format
from keras_growprune.text import size_text

_QUANTIZATIONS = ("none", "dynamic_range", "int8")


def _run(files, options):
    path, output = files
    if output.endswith((".keras", ".h5")):
        raise app.UsageError(
            "OUTPUT ends with .tflite or .onnx, or is a folder; `compact` "
            "writes .keras files"
        )
    try:
        file_format = chosen_format(output, options.format)
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    quantization = options.quantization
    if (quantization == "int8") != (options.representative is not None):
        raise app.UsageError(
            "--quantization=int8 and --representative=FILE need each other"
        )
    check_is_new(output, options.overwrite)
    model = load_model(path, options)
    size = options.batch_size
    result = export_model(
        model,
        output,
        file_format,
        quantization=None if quantization == "none" else quantization,
        representative_dataset=read_samples(options.representative, model),
        integer_io=options.integer_io,
        batch_size="default" if size is None else size or None,
        opset=options.opset,
        verify=options.verify,
        inputs=read_samples(options.inputs, model),
        overwrite=options.overwrite,
        verbose=False,
    )
    kind = TITLES[file_format]
    if quantization != "none":
        kind += f" ({quantization})"
    print(f"wrote {output}: {kind}, {size_text(size_on_disk(output))}")
    print(f"verified: {result}" if result else "not verified")


def _define_flags(options):
    define_import(options)
    flags.DEFINE_enum(
        "format",
        None,
        list(FORMATS),
        "Format of OUTPUT. Default: what its ending tells, .tflite, .onnx or "
        "else a SavedModel.",
        flag_values=options,
    )
    flags.DEFINE_enum(
        "quantization",
        "none",
        _QUANTIZATIONS,
        "Of LiteRT: weights in 8 bits (dynamic_range), or all numbers (int8).",
        flag_values=options,
    )
    flags.DEFINE_string(
        "representative",
        None,
        "For int8: samples of real inputs, a hundred or more, in a .npy or "
        ".npz file.",
        flag_values=options,
    )
    flags.DEFINE_boolean(
        "integer_io",
        False,
        "With int8: inputs and outputs are integers too.",
        flag_values=options,
    )
    flags.DEFINE_integer(
        "batch_size",
        None,
        "Examples of one call, 0 for any. Default: 1 for LiteRT, else any.",
        lower_bound=0,
        flag_values=options,
    )
    flags.DEFINE_integer(
        "opset",
        None,
        "Of ONNX: version of its operations.",
        lower_bound=1,
        flag_values=options,
    )
    flags.DEFINE_string(
        "inputs",
        None,
        "Samples to verify OUTPUT with, in a .npy or .npz file. Default: "
        "those of --representative, or random ones.",
        flag_values=options,
    )
    flags.DEFINE_boolean(
        "verify",
        True,
        "Keeps OUTPUT without running it beside the network.",
        flag_values=options,
    )
    flags.DEFINE_boolean(
        "overwrite", False, "Replaces what is at OUTPUT.", flag_values=options
    )


COMMAND = Command(
    name="export",
    files=("FILE", "OUTPUT"),
    summary="Writes a network for serving or for a device.",
    details="FILE is a saved model; of a growing one the compact network is "
    "written. OUTPUT is a `.tflite` or an `.onnx` file, or the folder of a "
    "SavedModel. It is run beside the network, and not kept where it answers "
    "otherwise.",
    define_flags=_define_flags,
    run=_run,
)

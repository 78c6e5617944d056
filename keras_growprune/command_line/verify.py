"""`verify FILE EXPORTED`: whether a file answers like its network."""

from absl import flags

from keras_growprune.command_line.command import Command
from keras_growprune.command_line.given_files import SAVED
from keras_growprune.command_line.given_files import define_import
from keras_growprune.command_line.given_files import kind_of
from keras_growprune.command_line.given_files import load_model
from keras_growprune.command_line.samples_file import read_samples
from keras_growprune.export import open_exported
from keras_growprune.export import shortfall
from keras_growprune.export import verify
from keras_growprune.export.verification import NOISE
from keras_growprune.export.verification import ROUNDING

_DIFFERS = 1


def _run(files, options):
    path, exported = files
    kind = kind_of(exported)
    if kind == SAVED:
        raise ValueError(
            "EXPORTED must be a `.tflite` or `.onnx` file, or the folder of a "
            f"SavedModel. Received: `{exported}`, a saved model."
        )
    model = load_model(path, options)
    result = verify(model, exported, read_samples(options.inputs, model))
    if options.agreement is not None and result.agreement is None:
        raise ValueError(
            "--agreement needs outputs with an axis of classes. Received: "
            f"`{exported}`, which has none."
        )
    is_quantized = open_exported(exported).is_quantized
    missed = _missed(result, options, is_quantized)
    print(_table(result, is_quantized))
    if missed:
        print(
            f"{exported} does not answer like {path}. Expected: "
            f"{'; '.join(missed)}"
        )
        return _DIFFERS
    print(f"{exported} answers like {path}")


def _missed(result, options, is_quantized):
    """What is expected of the file and does not hold, as phrases."""
    missed = [shortfall(result, is_quantized, options.tolerance, options.noise)]
    if options.agreement is not None and result.agreement < options.agreement:
        missed.append(f"agreement of at least {options.agreement:.1%}")
    return [each for each in missed if each]


def _table(result, is_quantized):
    numbers = "8-bit" if is_quantized else "float"
    rows = [
        ("samples", f"{result.samples}"),
        ("numbers", numbers),
        (
            "largest difference",
            f"{result.difference:.2g} (outputs up to {result.largest:.3g})",
        ),
        ("noise", f"{result.noise:.2g} of the outputs' standard deviation"),
    ]
    if result.agreement is not None:
        rows.append(
            ("agreement", f"{result.agreement:.1%} name the same class")
        )
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name.ljust(width)}  {text}" for name, text in rows)


def _define_flags(options):
    define_import(options)
    flags.DEFINE_string(
        "inputs",
        None,
        "Samples in a .npy or .npz file, of which 1,024 are used. Default: 32 "
        "random ones.",
        flag_values=options,
    )
    flags.DEFINE_float(
        "tolerance",
        ROUNDING,
        "Of a file in floats: largest difference, as a fraction of the largest "
        "number of its output. Default: 1e-4.",
        lower_bound=0.0,
        flag_values=options,
    )
    flags.DEFINE_float(
        "noise",
        NOISE,
        "Of a file in 8 bits: most noise, as a fraction of the outputs' "
        "standard deviation. Default: 0.5.",
        lower_bound=0.0,
        flag_values=options,
    )
    flags.DEFINE_float(
        "agreement",
        None,
        "Least share of the samples where both name the same class, such as "
        "0.98. Default: any.",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=options,
    )


COMMAND = Command(
    name="verify",
    files=("FILE", "EXPORTED"),
    summary="Runs an exported file beside its network.",
    details="FILE is the saved model, EXPORTED a `.tflite` or an `.onnx` file, "
    "or the folder of a SavedModel. The exit status is 1 where their answers "
    "differ by more than the flags allow.",
    define_flags=_define_flags,
    run=_run,
)

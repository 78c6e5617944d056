"""How a network leaves the library."""

from keras_growprune.export.compact import compact_model
from keras_growprune.export.compact import untrained_model
from keras_growprune.export.compiled import CompileArguments
from keras_growprune.export.compiled import compile_alike
from keras_growprune.export.export_model import export_model
from keras_growprune.export.file_formats import FORMATS
from keras_growprune.export.prepared import in_float32
from keras_growprune.export.quantization_aware import quantization_aware
from keras_growprune.export.tf_keras_twin import from_tf_keras
from keras_growprune.export.tf_keras_twin import to_tf_keras
from keras_growprune.export.tfmot import import_tfmot
from keras_growprune.export.verification import Verification
from keras_growprune.export.verification import plain_network
from keras_growprune.export.verification import shortfall
from keras_growprune.export.verification import verify
from keras_growprune.runtimes import open_exported
from keras_growprune.runtimes import size_on_disk

__all__ = [
    "CompileArguments",
    "FORMATS",
    "Verification",
    "compact_model",
    "compile_alike",
    "export_model",
    "from_tf_keras",
    "import_tfmot",
    "in_float32",
    "open_exported",
    "plain_network",
    "quantization_aware",
    "shortfall",
    "size_on_disk",
    "to_tf_keras",
    "untrained_model",
    "verify",
]

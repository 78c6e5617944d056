"""Grow and prune Keras networks while they train.

Public names: `growable`, `GrowPruneModel`, `Budget`, `DeviceProfile`,
`Distillation`, `GrowthSchedule`, `Structure`, `animate_growth`, `build`,
`count_flops`, `diff`, `plot_growth`, `plot_structure`, `register_axes`,
`verify`, and the modules `callbacks`, `export`, `layers`, `models`, `growth`.
"""

from keras_growprune import keras_internals

keras_internals.check_versions()

from keras_growprune import callbacks
from keras_growprune import export
from keras_growprune import growth
from keras_growprune import layers
from keras_growprune import models
from keras_growprune.conversion import build
from keras_growprune.conversion import growable
from keras_growprune.cost import Budget
from keras_growprune.cost import count_flops
from keras_growprune.devices import DeviceProfile
from keras_growprune.export import verify
from keras_growprune.growth import GrowthSchedule
from keras_growprune.layers import register_axes
from keras_growprune.structure import Structure
from keras_growprune.training import Distillation
from keras_growprune.training import GrowPruneModel
from keras_growprune.training import diff
from keras_growprune.version import __version__
from keras_growprune.visualization import animate_growth
from keras_growprune.visualization import plot_growth
from keras_growprune.visualization import plot_structure

__all__ = [
    "Budget",
    "DeviceProfile",
    "Distillation",
    "GrowPruneModel",
    "GrowthSchedule",
    "Structure",
    "__version__",
    "animate_growth",
    "build",
    "callbacks",
    "count_flops",
    "diff",
    "export",
    "growable",
    "growth",
    "layers",
    "models",
    "plot_growth",
    "plot_structure",
    "register_axes",
    "verify",
]

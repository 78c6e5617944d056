"""Grow and prune Keras networks while they train.

Public names: `GrowPruneModel`, `Budget`, `GrowthSchedule`, `register_axes`, and
the modules `layers`, `models`, `growth`.
"""

from keras_growprune import keras_internals

keras_internals.check_versions()

from keras_growprune import growth  # noqa: E402
from keras_growprune import layers  # noqa: E402
from keras_growprune import models  # noqa: E402
from keras_growprune.cost import Budget  # noqa: E402
from keras_growprune.growth import GrowthSchedule  # noqa: E402
from keras_growprune.structure import register_axes  # noqa: E402
from keras_growprune.training import GrowPruneModel  # noqa: E402
from keras_growprune.version import __version__  # noqa: E402

__all__ = [
    "Budget",
    "GrowPruneModel",
    "GrowthSchedule",
    "__version__",
    "growth",
    "layers",
    "models",
    "register_axes",
]

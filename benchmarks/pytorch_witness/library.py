"""The NumPy parts of the library, also where Keras is not installed.

`keras_growprune.growth` and `keras_growprune.cost.cost` need NumPy alone, but
the packages around them import Keras. Where that is missing, empty packages
stand in for those.
"""

import importlib.util
import pathlib
import sys
import types

_ROOT = pathlib.Path(__file__).parents[2]


def _let_stand_in(*names):
    for name in names:
        package = types.ModuleType(name)
        package.__path__ = [str(_ROOT.joinpath(*name.split(".")))]
        sys.modules.setdefault(name, package)


if importlib.util.find_spec("keras") is None:
    _let_stand_in("keras_growprune", "keras_growprune.cost")

from keras_growprune.cost.cost import ProductCost  # noqa: E402
from keras_growprune.growth import GrowthSchedule  # noqa: E402
from keras_growprune.growth import GrowthState  # noqa: E402
from keras_growprune.growth import PaperRule  # noqa: E402
from keras_growprune.growth import SaliencyRule  # noqa: E402
from keras_growprune.growth import UnitSpace  # noqa: E402
from keras_growprune.growth.saliency import saliency  # noqa: E402

__all__ = [
    "GrowthSchedule",
    "GrowthState",
    "PaperRule",
    "ProductCost",
    "SaliencyRule",
    "UnitSpace",
    "saliency",
]

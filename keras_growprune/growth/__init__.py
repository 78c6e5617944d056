"""How the shape should change: NumPy in, masks out. No Keras in here."""

from keras_growprune.growth.growth_state import GrowthState
from keras_growprune.growth.market import Market
from keras_growprune.growth.paper_rule import PaperRule
from keras_growprune.growth.rule import Rule
from keras_growprune.growth.saliency_rule import SaliencyRule
from keras_growprune.growth.schedule import GrowthSchedule
from keras_growprune.growth.unit_space import UnitSpace

__all__ = [
    "GrowthSchedule",
    "GrowthState",
    "Market",
    "PaperRule",
    "Rule",
    "SaliencyRule",
    "UnitSpace",
]

"""What a shape costs, and what it may cost."""

from keras_growprune.cost.budget import Budget
from keras_growprune.cost.cost import Cost
from keras_growprune.cost.cost import WeightwiseCost
from keras_growprune.cost.flops import FlopsCost
from keras_growprune.cost.flops import count_flops
from keras_growprune.cost.multiplications import find_multiplications
from keras_growprune.cost.parameters import ParameterCost

__all__ = [
    "Budget",
    "Cost",
    "FlopsCost",
    "ParameterCost",
    "WeightwiseCost",
    "count_flops",
    "find_multiplications",
]

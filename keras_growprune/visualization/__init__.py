"""Pictures of growing: the run, the network, and both in motion."""

from keras_growprune.visualization.animate_growth import animate_growth
from keras_growprune.visualization.plot_growth import plot_growth
from keras_growprune.visualization.plot_structure import plot_structure

__all__ = ["animate_growth", "plot_growth", "plot_structure"]

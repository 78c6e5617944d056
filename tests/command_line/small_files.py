"""Small models in files, and commands on them."""

import keras
import numpy as np

import keras_growprune as kgp
from keras_growprune import command_line
from keras_growprune.structure import Structure

layers = keras.layers


def convolutional():
    """A plain model of 20 + 99 parameters and 288 + 96 FLOPs."""
    return keras.Sequential(
        [
            keras.Input((4, 4, 1), name="image"),
            layers.Conv2D(2, 3, padding="same", name="conv"),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(3, name="scores"),
        ],
        name="convolutional",
    )


def growing(width=4):
    """A growing model of 9 w + 3 parameters and 8 w FLOPs, w up to 8."""
    inputs = keras.Input((5,), name="features")
    x = kgp.layers.GrowableDense(8, name="hidden")(inputs)
    outputs = layers.Dense(3, name="scores")(layers.ReLU()(x))
    model = kgp.GrowPruneModel(
        inputs, outputs, kgp.Budget(params=0.9), seed=0, name="growing"
    )
    units = np.arange(8) < width
    model.restructure(Structure(units, model.structure.gates))
    return model


def saved(model, folder, name):
    """Saves a model; returns the path."""
    path = str(folder / name)
    model.save(path)
    return path


def run(*arguments):
    """Runs a command; returns its exit status."""
    return command_line.main(list(arguments))


def row(text, first):
    """The cells of the first line that begins with a word."""
    lines = (line.replace("│", " ").split() for line in text.splitlines())
    return next(line for line in lines if line[:1] == [first])

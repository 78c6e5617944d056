"""Where generators of random numbers are."""

import random

import numpy as np


def random_state():
    """Where the generators are that serve whoever has no seed.

    Those of Python, NumPy and Keras.

    Returns:
        What `set_random_state` takes, made of numbers and lists.
    """
    from keras.src.backend.common import global_state

    # To make Keras's would draw a number from Python's.
    generator = global_state.get_global_attribute("global_seed_generator")
    version, numbers, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state()
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [kind, keys.tolist(), *rest],
        "keras": generator and generator.state.numpy().tolist(),
    }


def set_random_state(state):
    """Lets them go on from there."""
    from keras.src.random import seed_generator

    if state["keras"] is not None:
        generator = seed_generator.global_seed_generator()
        generator.state.assign(state["keras"])
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(state["numpy"]))


def seed_states(model):
    """States of the layers' own generators, which Keras leaves out of files.

    Returns:
        List of variables.
    """
    name = "seed_generator_state"
    return [each for each in model.variables if each.name == name]

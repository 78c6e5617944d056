"""A device to plan by that nobody has to measure."""

import keras_growprune as kgp


def multiply_adds_as_time(block=8):
    """A device whose layers take their multiply-adds, and a little each."""
    convolution = [1.0, 0.0, 0.0, 0.01]
    return kgp.DeviceProfile({"convolution": convolution}, block=block)

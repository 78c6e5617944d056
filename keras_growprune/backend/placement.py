"""Which device variables are on."""

import contextlib

import tensorflow as tf


def elsewhere(variables):
    """Those of TensorFlow's variables that are not where new ones are made.

    Variables of several replicas are where they belong.

    Args:
        variables: List of variables.
    """
    if tf.distribute.has_strategy():
        return []
    plain = [each for each in variables if isinstance(each, tf.Variable)]
    # Where one is made depends on its type: devices do not take all of them.
    here = {
        dtype: tf.Variable(tf.zeros([], dtype), trainable=False).device
        for dtype in {each.dtype for each in plain}
    }
    return [each for each in plain if each.device != here[each.dtype]]


def beside(variables):
    """Inside, new variables are made on the device that others are on.

    Args:
        variables: List of variables. Where some are on the device that new
            ones are made on anyway, or on several, nothing is different.
    """
    away = elsewhere(variables)
    devices = {each.device for each in away}
    if len(devices) == 1 and len(away) == len(variables):
        return tf.device(devices.pop())
    return contextlib.nullcontext()

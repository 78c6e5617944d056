"""Variables of several replicas: one copy of each."""

import tensorflow as tf


def copies_of(variable):
    """The variables of this worker's replicas behind a TensorFlow variable."""
    if isinstance(variable, tf.distribute.DistributedValues):
        return list(variable.values)
    return [variable]


def create_without_entries(next_creator, **arguments):
    """Makes a variable, also one without entries.

    Workers are told initial values by the chief, which ends with an error
    where there is nothing to be told.
    """
    value = arguments["initial_value"]
    value = value() if callable(value) else value
    value = tf.convert_to_tensor(value, dtype=arguments.get("dtype"))
    if value.shape.num_elements() != 0:
        return next_creator(**{**arguments, "initial_value": value})
    given = arguments.get("shape")
    given = value.shape if given is None else tf.TensorShape(given)
    arguments["shape"] = tf.TensorShape([n or None for n in given])
    arguments["initial_value"] = tf.zeros(
        [max(n, 1) for n in value.shape], value.dtype
    )
    variable = next_creator(**arguments)
    for each in copies_of(variable):
        each.assign(value)
    return variable

"""What every test starts from: quiet, seeded, a clean Keras session."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

# Replicas for the tests of `tf.distribute`. Before TensorFlow has started.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
# Tests make many small models; TensorFlow's advice on retracing is noise.
tf.get_logger().setLevel("ERROR")


# The library collects garbage at each restructuring; what is imported by now
# is none, and looking at it would take most of the time of the tests.
gc.collect()
gc.freeze()


@pytest.fixture(autouse=True)
def clean_session():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.backend.clear_session()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of tests marked `sampled(n)` each n-th case is quick, all others slow.

    They take long for each of many kinds of networks: a change that breaks
    one kind mostly breaks several, and the slow run tries them all.
    """
    seen = {}
    for item in items:
        sampled = item.get_closest_marker("sampled")
        if sampled is None or item.get_closest_marker("slow"):
            continue
        key = item.nodeid.partition("[")[0]
        seen[key] = seen.get(key, -1) + 1
        if seen[key] % sampled.args[0]:
            item.add_marker("slow")

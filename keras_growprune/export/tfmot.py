"""tf_keras and tfmot, which the library needs for nothing but twins."""

import os

import tensorflow as tf

# What decides which Keras `tf.keras` is, when it is first looked at.
_SWITCH = "TF_USE_LEGACY_KERAS"


def import_tf_keras():
    """Returns the package tf_keras, Keras as it was before Keras 3.

    Importing it takes seconds.

    Raises:
        ImportError: If it cannot be imported.
    """
    try:
        import tf_keras
    except ImportError as error:
        raise _missing("tf_keras", error) from error
    return tf_keras


def import_tfmot():
    """Returns the package tensorflow_model_optimization.

    Its own import sets an environment variable by which `tf.keras` becomes
    tf_keras, for all that this process imports later and in the processes that
    it starts. Here everything stays as it was.

    Returns:
        The module.

    Raises:
        ImportError: If it cannot be imported.

    Example:

    ```python
    tfmot = kgp.export.import_tfmot()
    tfmot.__name__  # "tensorflow_model_optimization"
    ```
    """
    # From its first attribute on, it is what it is.
    tf.keras.__name__  # noqa: B018
    before = os.environ.get(_SWITCH)
    try:
        import tensorflow_model_optimization
    except ImportError as error:
        name = "tensorflow_model_optimization"
        raise _missing(name, error) from error
    finally:
        if before is None:
            os.environ.pop(_SWITCH, None)
        else:
            os.environ[_SWITCH] = before
    return tensorflow_model_optimization


def _missing(name, error):
    return ImportError(
        f"Twins in tf_keras need packages that the library itself does not. "
        f"Expected: `{name}`. Received: {error}. Install it: "
        "`pip install tensorflow-model-optimization tf_keras`, the packages "
        "of the extra `keras_growprune[tfmot]`."
    )

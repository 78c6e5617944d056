"""The versions of Keras that this library works with."""

import keras

_FLOOR = (3, 8)


def check_versions():
    """Refuses a Keras that cannot resize variables, by its names alone."""
    version = tuple(int(part) for part in keras.__version__.split(".")[:2])
    if version < _FLOOR:
        raise ImportError(
            "keras_growprune needs Keras 3.8 or newer. Received: Keras "
            f"{keras.__version__}. Run `pip install -U keras`."
        )
    if keras.backend.backend() != "tensorflow":
        raise ImportError(
            "keras_growprune needs Keras's TensorFlow backend. Received: "
            f"backend={keras.backend.backend()!r}. Set the environment "
            "variable `KERAS_BACKEND=tensorflow` before you import Keras."
        )
    names = [
        (keras.Variable, "_initialize"),
        (keras.optimizers.Optimizer, "_all_reduce_sum_gradients"),
        (keras.Model, "_compute_loss"),
        (keras.Function, "_run_through_graph"),
    ]
    for owner, name in names:
        if not hasattr(owner, name):
            raise ImportError(
                "keras_growprune does not know this version of Keras: "
                f"`{owner.__name__}.{name}` is gone. Received: Keras "
                f"{keras.__version__}. Install an older one, or a newer "
                "keras_growprune."
            )

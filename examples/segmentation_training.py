"""How networks for segmentation are trained."""

import time

import keras
import segmentation_data

# Of the polynomial by which the learning rate falls (Chen et al., 2017).
_POWER = 0.9


@keras.saving.register_keras_serializable(package="keras_growprune_examples")
class MeanIoU(keras.metrics.MeanIoU):
    """Mean over classes of intersection over union, without void pixels.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes, name="miou", dtype=None):
        super().__init__(
            num_classes=classes,
            ignore_class=segmentation_data.VOID,
            sparse_y_pred=False,
            name=name,
            dtype=dtype,
        )
        self.classes = classes

    def get_config(self):
        return {"classes": self.classes, "name": self.name}


def compile_model(model, steps, learning_rate=0.05):
    """Compiles a model for so many steps.

    Args:
        model: A model whose outputs are logits of each pixel.
        steps: Steps of the whole training.
        learning_rate: That of the first step. It falls to 0 by a polynomial.
    """
    model.compile(
        keras.optimizers.SGD(
            keras.optimizers.schedules.PolynomialDecay(
                learning_rate, steps, end_learning_rate=0.0, power=_POWER
            ),
            momentum=0.9,
            nesterov=True,
        ),
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=segmentation_data.VOID
        ),
        metrics=[MeanIoU(model.output_shape[-1])],
    )


def fit(model, batches, epochs, **arguments):
    """Calls `fit` of a compiled model.

    Args:
        model: The model.
        batches: A `tf.data.Dataset` of one epoch, shuffled already.
        epochs: Epochs.
        **arguments: More arguments of `fit`.

    Returns:
        `(history, seconds)`.
    """
    started = time.perf_counter()
    arguments = {"verbose": 0, "shuffle": False, **arguments}
    history = model.fit(batches, epochs=epochs, **arguments).history
    return history, time.perf_counter() - started

"""A trained network tells a growing one what to answer."""

import functools
import warnings

import keras
from keras import ops

from keras_growprune import keras_internals
from keras_growprune.cost import count_flops
from keras_growprune.layers.growable import is_number
from keras_growprune.training.soft_losses import soft_losses


class Distillation:
    r"""Knowledge distillation from a trained network, its teacher.

    The growing model learns the answers of the data and those of the teacher:
    `(1 - weight) * loss + weight * distance`; penalties on weights stay as
    they are. Between the classes of a classifier the distance is that of
    Hinton et al. (2015, "Distilling the Knowledge in a Neural Network",
    section 2), `temperature ** 2` times the Kullback-Leibler divergence of
    the softened probabilities `softmax(logits / temperature)`. With other
    losses of Keras (squared error, binary cross-entropy, ...) the outputs of
    the teacher are the targets.

    The teacher runs forward once in each training step; the `ledger` counts
    its FLOPs. It is not saved with the model.

    Args:
        teacher: A `keras.Model` with the inputs and outputs of the growing
            one, trained. It stays as it is.
        weight: Float in (0, 1], share of the teacher's answers in the loss.
            Defaults to 0.9.
        temperature: Positive float, how far probabilities are softened.
            Defaults to 4.0.

    Raises:
        ValueError: If the teacher is no model, or a number is out of its
            range.

    Example:

    ```python
    model = kgp.growable(trained, kgp.Budget(flops=0.5), start="weights")
    model.distillation = kgp.Distillation(trained, weight=0.7)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(images, labels, epochs=20)
    ```
    """

    def __init__(self, teacher, weight=0.9, temperature=4.0):
        if not isinstance(teacher, keras.Model) or not teacher.built:
            raise ValueError(
                "Argument `teacher` must be a built `keras.Model`. Received: "
                f"teacher={teacher!r} of type {type(teacher).__name__}"
            )
        if not (is_number(weight) and 0 < weight <= 1):
            raise ValueError(
                "Argument `weight` must be a number in (0, 1]. Received: "
                f"weight={weight!r}"
            )
        if not (is_number(temperature) and temperature > 0):
            raise ValueError(
                "Argument `temperature` must be a positive number. Received: "
                f"temperature={temperature!r}"
            )
        self.teacher = teacher
        self.weight = float(weight)
        self.temperature = float(temperature)

    def check(self, model):
        """Checks that a model can learn from the teacher.

        Args:
            model: The growing model; its loss too, where it is compiled.

        Raises:
            ValueError: If inputs or outputs differ in shape, only one of the
                two ends with a softmax, or nobody knows how one of the losses
                compares outputs.
        """
        for ends in ("inputs", "outputs"):
            wanted, given = (
                [tuple(x.shape[1:]) for x in keras.tree.flatten(tensors)]
                for tensors in (
                    getattr(model, ends),
                    getattr(self.teacher, ends),
                )
            )
            if len(wanted) != len(given) or not all(map(_fit, wanted, given)):
                raise ValueError(
                    f"The teacher must have {ends} of the shapes of model "
                    f"`{model.name}`, {wanted}. Received: a teacher with "
                    f"{ends} of {given}."
                )
        for ours, theirs in zip(model.outputs, self.teacher.outputs):
            if _is_softmax(ours) != _is_softmax(theirs):
                raise ValueError(
                    f"Model `{model.name}` and its teacher must both end with "
                    "a softmax, or neither: probabilities are no logits. "
                    f"Received: {_end(ours)} of the model, {_end(theirs)} of "
                    "the teacher."
                )
        if model.compiled:
            soft_losses(model, self.temperature)

    def answers(self, x):
        """What the teacher says of a batch of inputs.

        Args:
            x: Inputs as the teacher takes them.

        Returns:
            Its outputs, not in training mode.
        """
        return self.teacher(x, training=False)

    def mix(self, loss, penalties, model, answers, y_pred, sample_weight=None):
        """The loss, with the distance from the teacher's answers.

        Args:
            loss: Scalar, the loss of the data and penalties.
            penalties: Scalar, what of it is penalties.
            model: The growing model, compiled.
            answers: What the teacher says of the batch.
            y_pred: What the model says of it.
            sample_weight: As in `keras.Model.fit`.

        Returns:
            A scalar.
        """
        answers = keras.tree.flatten(answers)
        outputs = keras.tree.flatten(y_pred)
        weights = keras.tree.flatten(sample_weight)
        if len(weights) != len(outputs):
            weights = [sample_weight] * len(outputs)
        distances = [
            distance(answer, output, weight)
            for distance, answer, output, weight in zip(
                soft_losses(model, self.temperature), answers, outputs, weights
            )
        ]
        distance = ops.cast(sum(distances), loss.dtype)
        penalties = ops.cast(penalties, loss.dtype)
        of_data = (1 - self.weight) * (loss - penalties)
        return of_data + self.weight * distance + penalties

    @functools.cached_property
    def flops(self):
        """Multiply-adds of the teacher for one example; NaN if unknown."""
        try:
            return count_flops(self.teacher)
        except ValueError:  # inputs of unknown size
            return float("nan")

    def __repr__(self):
        return (
            f"Distillation(teacher={self.teacher.name!r}, "
            f"weight={self.weight}, temperature={self.temperature})"
        )


def _fit(one, other):
    """Whether two shapes may be the same."""
    return len(one) == len(other) and all(
        None in pair or pair[0] == pair[1] for pair in zip(one, other)
    )


def _end(tensor):
    return keras_internals.producer_name(tensor)


def _is_softmax(tensor):
    operation = keras_internals.producer(tensor)
    activation = getattr(operation, "activation", None)
    is_layer = isinstance(operation, keras.layers.Softmax)
    return is_layer or activation is keras.activations.softmax


def check_distillation(model):
    """Checks, before a model is trained, whom it learns from.

    Args:
        model: The growing model, compiled.

    Raises:
        ValueError: If it cannot learn from its teacher.
    """
    if model.distillation is not None:
        model.distillation.check(model)
    elif model.distillation_left_behind is not None:
        warnings.warn(
            f"Model `{model.name}` learned from a teacher before it was saved "
            f"({model.distillation_left_behind}), who was not saved with it. "
            "It trains without now. Set `model.distillation` again, or to "
            "None to say that this is meant.",
            stacklevel=3,
        )

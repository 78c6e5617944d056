"""How far a network's outputs are from those of its teacher."""

import functools

import keras
from keras import ops

_CLASSES = ("sparse_categorical_crossentropy", "categorical_crossentropy")
_BINARY = "binary_crossentropy"
# Their targets are numbers like the outputs.
_DIRECT = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
    "cosine_similarity",
    "poisson",
    "kl_divergence",
)


def soft_losses(model, temperature):
    """One function of targets, outputs and sample weights for each output.

    Args:
        model: A compiled `keras.Model`.
        temperature: Positive float, how far probabilities are softened.

    Returns:
        List of functions `(answer of the teacher, output, sample weight)`
        that return a scalar, in the order of the model's flat outputs.

    Raises:
        ValueError: If nobody knows how one of the losses compares outputs.
    """
    losses = _of_each_output(model, model.loss)
    weights = model.compile_arguments.loss_weights
    weights = _of_each_output(model, 1.0 if weights is None else weights)
    return [
        _distance(model, loss, temperature, 1.0 if weight is None else weight)
        for loss, weight in zip(losses, weights)
    ]


def _of_each_output(model, value):
    """What `compile` was given, for each output; None where it has none."""
    count = len(model.outputs)
    if isinstance(value, dict):
        structure, names = model.output, model.output_names
        if isinstance(structure, dict) and set(value) <= set(structure):
            names = sorted(structure)  # as they are flattened
        if set(value) <= set(names):
            return [value.get(name) for name in names]
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        if len(value) != count:
            raise ValueError(
                "Distillation needs a loss for each output of model "
                f"`{model.name}`, which has {count}. Received: "
                f"{len(value)}, {value!r}"
            )
        return list(value)
    return [value] * count


def _distance(model, loss, temperature, weight):
    if loss is None:  # nothing is learned of this output
        return lambda answer, output, sample_weight: 0.0
    known = loss
    if isinstance(loss, str):
        known = keras.losses.get(loss)
    name = getattr(known, "__name__", None) or type(known).__name__
    name = _snake_case(name)
    config = known.get_config() if isinstance(known, keras.Loss) else {}
    from_logits = config.get("from_logits", False)
    axis = config.get("axis", -1)
    reduction = config.get("reduction", "sum_over_batch_size")
    if name in _CLASSES:
        distance = _Divergence(from_logits, temperature, axis, reduction)
    elif name == _BINARY:
        distance = _BinaryDivergence(from_logits, temperature, reduction)
    elif name in _DIRECT:
        if not isinstance(known, keras.Loss):
            known = _Mean(known)
        distance = known
    else:
        raise ValueError(
            f"Model `{model.name}` learns from a teacher, and nobody knows how "
            "its loss compares two outputs. Expected: a cross-entropy, or one "
            f"of {', '.join(_DIRECT)}. Received: loss={loss!r}. Set "
            "`model.distillation = None`, or add the distance from the "
            "teacher's outputs in a `train_step` of your own."
        )
    return functools.partial(_call, distance, weight)


def _call(distance, weight, answer, output, sample_weight):
    answer = ops.cast(answer, "float32")
    return weight * distance(answer, output, sample_weight)


def _snake_case(name):
    letters = [
        "_" + letter.lower() if letter.isupper() and index else letter.lower()
        for index, letter in enumerate(name)
    ]
    return "".join(letters).replace("k_l_", "kl_")


class _Mean(keras.losses.Loss):
    """A function of targets and outputs, with the reduction of Keras."""

    def __init__(self, function):
        super().__init__(name="distance", dtype="float32")
        self._function = function

    def call(self, y_true, y_pred):
        return self._function(y_true, y_pred)


class _Divergence(keras.losses.Loss):
    """Kullback-Leibler divergence of softened probabilities."""

    def __init__(self, from_logits, temperature, axis, reduction):
        super().__init__("divergence", reduction, "float32")
        self._from_logits = from_logits
        self._temperature, self._axis = temperature, axis

    def call(self, y_true, y_pred):
        wanted, log_wanted = (
            function(self._logits(y_true), axis=self._axis)
            for function in (ops.softmax, ops.log_softmax)
        )
        log_given = ops.log_softmax(self._logits(y_pred), axis=self._axis)
        difference = wanted * (log_wanted - log_given)
        return self._temperature**2 * ops.sum(difference, axis=self._axis)

    def _logits(self, outputs):
        if not self._from_logits:  # probabilities: their logarithms are some
            outputs = ops.log(ops.maximum(outputs, keras.config.epsilon()))
        return outputs / self._temperature


class _BinaryDivergence(keras.losses.Loss):
    """The same for outputs that are each the probability of one thing."""

    def __init__(self, from_logits, temperature, reduction):
        super().__init__("binary_divergence", reduction, "float32")
        self._from_logits, self._temperature = from_logits, temperature

    def call(self, y_true, y_pred):
        wanted, given = self._logits(y_true), self._logits(y_pred)
        result = 0.0
        for sign in (1, -1):
            log_wanted = ops.log_sigmoid(sign * wanted)
            difference = log_wanted - ops.log_sigmoid(sign * given)
            result = result + ops.exp(log_wanted) * difference
        return self._temperature**2 * ops.mean(result, axis=-1)

    def _logits(self, outputs):
        if not self._from_logits:
            epsilon = keras.config.epsilon()
            outputs = ops.clip(outputs, epsilon, 1 - epsilon)
            outputs = ops.log(outputs) - ops.log(1 - outputs)
        return outputs / self._temperature

"""A network of tf_keras in Keras 3."""

import keras
from keras import ops

from keras_growprune.export.tf_keras_twin.graph import NoTwin
from keras_growprune.export.tf_keras_twin.graph import rebuild
from keras_growprune.export.tf_keras_twin.graph import refusal
from keras_growprune.export.tf_keras_twin.masks import check_masks
from keras_growprune.export.tf_keras_twin.masks import check_same_masks
from keras_growprune.export.tf_keras_twin.tf_keras_graph import tf_keras_graph
from keras_growprune.export.tf_keras_twin.twin_layers import TwinLayers
from keras_growprune.export.tf_keras_twin.twin_layers import check_arguments
from keras_growprune.export.tf_keras_twin.twin_layers import check_layer
from keras_growprune.export.tf_keras_twin.twin_layers import inner_models
from keras_growprune.export.tfmot import import_tf_keras
from keras_growprune.keras_internals import has_mask

_TFMOT = "tensorflow_model_optimization"
# Wrappers that leave an ordinary layer behind.
_STRIPPED_BY = {
    "PruneLowMagnitude": "tfmot.sparsity.keras.strip_pruning",
    "ClusterWeights": "tfmot.clustering.keras.strip_clustering",
}
# What tf_keras makes of operators, by their names in TensorFlow.
_OPERATIONS = {
    "__operators__.add": ops.add,
    "math.add": ops.add,
    "math.divide": ops.divide,
    "math.multiply": ops.multiply,
    "math.negative": ops.negative,
    "math.subtract": ops.subtract,
    "math.truediv": ops.divide,
    "nn.relu": ops.relu,
    "nn.relu6": ops.relu6,
}


def from_tf_keras(model):
    """Makes the twin of a network of tf_keras in Keras 3.

    The way back from `to_tf_keras`, also of a network that was pruned or
    clustered by TensorFlow Model Optimization in the meantime, and stripped of
    its wrappers. The twin computes the same, with the same weights under the
    same names; it shares nothing with the model, and is not compiled. In
    Keras 3 it is `fit` and `predict` that decide whether a layer is training,
    also for a layer that was called with `training=False`: freeze it.

    Args:
        model: A functional `tf_keras.Model`, or a built Sequential one.

    Returns:
        A functional `keras.Model`.

    Raises:
        ImportError: If tf_keras cannot be imported.
        ValueError: If the model is no such model, is still wrapped for pruning
            or clustering, is trained for integers (Keras 3 has no equal), or
            has a layer for which Keras 3 has no equal. All are named.

    Example:

    ```python
    tfmot = kgp.export.import_tfmot()
    twin = kgp.export.to_tf_keras(model)
    sparse = tfmot.sparsity.keras.prune_low_magnitude(twin)
    # After its training:
    stripped = tfmot.sparsity.keras.strip_pruning(sparse)
    small = kgp.export.from_tf_keras(stripped)
    ```
    """
    tf_keras = import_tf_keras()
    _check_model(model, tf_keras)
    _check_unwrapped(model)
    problems = _problems(model, tf_keras)
    if problems:
        raise refusal(problems, model, "Keras 3")
    try:
        return _FromTfKeras(tf_keras).twin(model)
    except NoTwin as reason:  # what only the twin's masks tell
        raise refusal([str(reason)], model, "Keras 3") from None


class _FromTfKeras:
    def __init__(self, tf_keras):
        self._tf_keras = tf_keras
        self._layers = TwinLayers(tf_keras, keras, self._new_model)

    def twin(self, model):
        new = self._layers.twin(model)
        self._layers.copy_states()
        return new

    def _new_model(self, model):
        inputs, outputs = rebuild(
            tf_keras_graph(model), self._new_input, self._new_call
        )
        return keras.Model(inputs, outputs, name=model.name)

    def _new_input(self, tensor, name):
        return keras.Input(
            batch_shape=tuple(tensor.shape), dtype=tensor.dtype.name, name=name
        )

    def _new_call(self, call, replaced):
        layer = call.operation
        args, kwargs = replaced((call.args, call.kwargs))
        symbol = getattr(layer, "symbol", None)
        if symbol in _OPERATIONS:
            outputs = _OPERATIONS[symbol](*args, *kwargs.values())
        else:
            self._check(layer, check_masks, type(layer).__name__, args, kwargs)
            outputs = self._layers.twin(layer)(*args, **kwargs)
        outputs = [
            self._without_mask(new) if not has_mask(old) else new
            for old, new in zip(call.outputs, keras.tree.flatten(outputs))
        ]
        self._check(layer, check_same_masks, zip(outputs, call.outputs))
        return outputs

    def _without_mask(self, tensor):
        """The same tensor: no operation hands a mask on."""
        return ops.multiply(tensor, 1) if has_mask(tensor) else tensor

    def _check(self, layer, check, *args):
        try:
            check(*args)
        except NoTwin as reason:
            raise reason.at(layer) from None


def _check_model(model, tf_keras):
    if not _has_graph(model, tf_keras):
        raise ValueError(
            "A twin is made call by call. Expected: a functional "
            "`tf_keras.Model`, or a built Sequential one. Received: "
            f"{type(model).__name__}. Build a Sequential model first; write a "
            "subclassed one as a functional model."
        )


def _has_graph(model, tf_keras):
    """Whether calling a model is running its functional graph."""
    if not isinstance(model, tf_keras.Model):
        return False
    is_keras = type(model).call.__module__.startswith("tf_keras.")
    return bool(is_keras and model.inputs and model.outputs)


def _check_unwrapped(model):
    """Refuses wrappers of TensorFlow Model Optimization."""
    for layer in model.submodules:
        kind = type(layer)
        if not kind.__module__.startswith(_TFMOT):
            continue
        strip = _STRIPPED_BY.get(kind.__name__)
        fix = (
            f"Strip it first: `from_tf_keras({strip}(model))`."
            if strip
            else "Write it as it is, as integers: "
            "`tf.lite.TFLiteConverter.from_keras_model(model)`."
        )
        raise ValueError(
            f"Model `{model.name}` is wrapped for TensorFlow Model "
            "Optimization, which Keras 3 has no equal for. Expected: plain "
            f"layers of tf_keras. Received: `{getattr(layer, 'name', kind)}` "
            f"of type {kind.__name__}. {fix}"
        )


def _problems(model, tf_keras):
    """What has no twin, as descriptions; models inside too."""
    if not _has_graph(model, tf_keras):
        return [f"`{model.name}`, a model that is more than its graph"]
    try:
        graph = tf_keras_graph(model)
    except NoTwin as reason:
        return [f"`{model.name}` ({reason})"]
    found = [
        f"input `{tensor.name}`, which is not dense"
        for tensor in keras.tree.flatten(graph.inputs)
        if type(tensor).__name__ != "KerasTensor"
    ]
    names = [call.operation.name for call in graph.calls]
    found += [
        f"the name `{name}`, which Keras 3 does not take"
        for name in [*names, *graph.input_names.values()]
        if "/" in name
    ]
    for call in graph.calls:
        for inside in inner_models(call.operation):
            found += _problems(inside, tf_keras)
        if isinstance(call.operation, tf_keras.Model):
            continue
        try:
            _check_call(call, tf_keras)
        except NoTwin as reason:
            found.append(str(reason.at(call.operation)))
    return list(dict.fromkeys(found))


def _check_call(call, tf_keras):
    symbol = getattr(call.operation, "symbol", None)
    if symbol in _OPERATIONS:
        return
    if symbol is not None:
        raise NoTwin("an operation of TensorFlow: write it as a layer")
    check_layer(call.operation, tf_keras, keras)
    if call.kwargs.get("training"):
        raise NoTwin("called with `training=True`, which Keras 3 decides anew")
    new_class = getattr(keras.layers, type(call.operation).__name__)
    check_arguments(call.kwargs, new_class)

"""A network of Keras 3 in tf_keras."""

import itertools
import re

import keras

from keras_growprune import keras_internals
from keras_growprune.export.tf_keras_twin.graph import NoTwin
from keras_growprune.export.tf_keras_twin.graph import rebuild
from keras_growprune.export.tf_keras_twin.graph import refusal
from keras_growprune.export.tf_keras_twin.keras_graph import keras_graph
from keras_growprune.export.tf_keras_twin.masks import check_masks
from keras_growprune.export.tf_keras_twin.masks import check_same_masks
from keras_growprune.export.tf_keras_twin.masks import ends_masks
from keras_growprune.export.tf_keras_twin.operations import layer_of_operation
from keras_growprune.export.tf_keras_twin.twin_layers import TwinLayers
from keras_growprune.export.tf_keras_twin.twin_layers import check_arguments
from keras_growprune.export.tf_keras_twin.twin_layers import check_layer
from keras_growprune.export.tf_keras_twin.twin_layers import inner_models
from keras_growprune.export.tfmot import import_tf_keras

# Names become name scopes of TensorFlow.
_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")


def to_tf_keras(model):
    """Makes the twin of a network in tf_keras, the Keras before Keras 3.

    For tools that know no other Keras: TensorFlow Model Optimization prunes
    and clusters weights, and trains for integers. The twin computes the same,
    with the same weights under the same names; it shares nothing with the
    model, and is not compiled. Operations like `x + y` become layers.

    Trained further it differs in this: its batch norms average the variance
    of a sample (divided by one less), its dropout draws other numbers, and
    penalties on activations are divided by the batch size, as they are in
    newer versions of Keras 3 too.

    Args:
        model: A functional `keras.Model` of plain layers, or a built
            Sequential one. A `GrowPruneModel` stands for what its `compact()`
            returns.

    Returns:
        A `tf_keras.Model`. Sequential models, that inside others too, become
        functional ones.

    Raises:
        ImportError: If tf_keras cannot be imported.
        ValueError: If the model is no such model, or has a layer or an
            operation for which tf_keras has no equal. All are named.

    Example:

    ```python
    tfmot = kgp.export.import_tfmot()
    twin = kgp.export.to_tf_keras(model)
    sparse = tfmot.sparsity.keras.prune_low_magnitude(twin)
    ```
    """
    tf_keras = import_tf_keras()
    if hasattr(model, "compact"):
        model = model.compact()
    check_has_twin(model)
    try:
        return _ToTfKeras(tf_keras).twin(model)
    except NoTwin as reason:  # what only the twin's masks tell
        raise refusal([str(reason)], model, "tf_keras") from None


def check_has_twin(model):
    """Refuses a model that `to_tf_keras` makes no twin of.

    Args:
        model: The model.

    Raises: As `to_tf_keras`.
    """
    if not _has_graph(model):
        raise ValueError(
            "A twin is made call by call. Expected: a functional `keras.Model` "
            "of Keras 3, or a built Sequential one. Received: "
            f"{type(model).__name__}. Build a Sequential model first; write a "
            "subclassed one as a functional model."
        )
    problems = _problems(model, import_tf_keras())
    if problems:
        raise refusal(problems, model, "tf_keras")


def _has_graph(model):
    """Whether calling a model is running its functional graph."""
    if not isinstance(model, keras.Model):
        return False
    is_keras = type(model).call.__module__.startswith("keras.")
    return is_keras and keras_internals.functional_graph(model) is not None


class _ToTfKeras:
    def __init__(self, tf_keras):
        self._tf_keras = tf_keras
        self._layers = TwinLayers(keras, tf_keras, self._new_model)
        self._of_operations = {}

    def twin(self, model):
        new = self._layers.twin(model)
        self._layers.copy_states()
        return new

    def _new_model(self, model):
        inputs, outputs = rebuild(
            keras_graph(model), self._new_input, self._new_call
        )
        return self._tf_keras.Model(inputs, outputs, name=model.name)

    def _new_input(self, tensor, name):
        return self._tf_keras.Input(
            batch_shape=tensor.shape, dtype=tensor.dtype, name=name
        )

    def _new_call(self, call, replaced):
        operation = call.operation
        if isinstance(operation, keras.layers.Layer):
            layer = self._layers.twin(operation)
            args, kwargs = call.args, call.kwargs
        else:
            found = layer_of_operation(call)
            layer = self._of_operation(call, found)
            args, kwargs = (found.inputs,), {}
        args, kwargs = replaced((args, kwargs))
        if ends_masks(call):
            names = itertools.count(1)
            args = keras.tree.map_structure(
                lambda x: self._without_mask(x, operation, names), args
            )
        outputs = keras.tree.flatten(layer(*args, **kwargs))
        try:
            check_same_masks(zip(call.outputs, outputs, strict=True))
        except NoTwin as reason:
            raise reason.at(operation) from None
        return outputs

    def _of_operation(self, call, found):
        operation = call.operation
        if id(operation) not in self._of_operations:
            kind = getattr(self._tf_keras.layers, found.kind)
            self._of_operations[id(operation)] = kind(
                name=operation.name, dtype=call.outputs[0].dtype, **found.config
            )
        return self._of_operations[id(operation)]

    def _without_mask(self, value, operation, names):
        """The same tensor: tf_keras hands no mask on through this layer."""
        if not keras_internals.has_mask(value):
            return value
        name = f"{operation.name}_input_{next(names)}"
        layer = self._tf_keras.layers.Rescaling(
            1.0, name=name, dtype=value.dtype
        )
        return layer(value)


def _problems(model, tf_keras):
    """What has no twin, as descriptions; models inside too."""
    if not _has_graph(model):
        return [f"`{model.name}`, a model that is more than its graph"]
    graph = keras_graph(model)
    found = [
        f"input `{graph.input_names[id(tensor)]}`, which is not dense"
        for tensor in keras.tree.flatten(graph.inputs)
        if not keras_internals.is_dense(tensor)
    ]
    found += [
        f"input `{layer.name}`, which is optional"
        for layer in keras_internals.functional_graph(model).layers
        if getattr(layer, "optional", False)
    ]
    names = [
        model.name,
        *graph.input_names.values(),
        *(c.operation.name for c in graph.calls),
    ]
    found += [
        f"the name `{name}`: give one of letters, digits and underscores"
        for name in names
        if not _NAME.fullmatch(name)
    ]
    for call in graph.calls:
        found += _problems_of_call(call, tf_keras)
    return list(dict.fromkeys(found))


def _problems_of_call(call, tf_keras):
    operation = call.operation
    found = [
        problem
        for model in inner_models(operation)
        for problem in _problems(model, tf_keras)
    ]
    if isinstance(operation, keras.Model):
        return found
    try:
        _check_call(call, tf_keras)
    except NoTwin as reason:
        found.append(str(reason.at(operation)))
    return found


def _check_call(call, tf_keras):
    operation = call.operation
    if not isinstance(operation, keras.layers.Layer):
        layer_of_operation(call)
        return
    check_layer(operation, keras, tf_keras)
    new_class = getattr(tf_keras.layers, type(operation).__name__)
    check_arguments(call.kwargs, new_class)
    check_masks(new_class.__name__, call.args, call.kwargs)

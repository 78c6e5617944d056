"""Training for integers, by TensorFlow Model Optimization."""

import collections

import keras

from keras_growprune import keras_internals
from keras_growprune.export.prepared import in_float32
from keras_growprune.export.tf_keras_twin.graph import NoTwin
from keras_growprune.export.tf_keras_twin.tf_keras_graph import tf_keras_graph
from keras_growprune.export.tf_keras_twin.to_tf_keras import check_has_twin
from keras_growprune.export.tf_keras_twin.to_tf_keras import to_tf_keras
from keras_growprune.export.tfmot import import_tf_keras
from keras_growprune.export.tfmot import import_tfmot
from keras_growprune.structure import GraphCopy
from keras_growprune.structure import clone_layer

# What it takes, found by trying all that have twins, with tfmot 0.8.
_LAYERS = frozenset(
    """
    Activation ActivityRegularization Add AveragePooling1D AveragePooling2D
    Concatenate Conv2D Conv2DTranspose Cropping1D Cropping2D Cropping3D Dense
    DepthwiseConv2D Dropout Flatten GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D
    GlobalMaxPooling2D GlobalMaxPooling3D LeakyReLU MaxPooling2D Permute ReLU
    Reshape SeparableConv2D Softmax SpatialDropout1D SpatialDropout2D
    SpatialDropout3D UpSampling2D ZeroPadding1D ZeroPadding2D
    """.split()
)
_BEFORE_NORM = frozenset(
    """
    Conv2D Conv2DTranspose Dense DepthwiseConv2D SeparableConv2D
    """.split()
)
_ACTIVATIONS = frozenset(
    "gelu linear relu sigmoid silu softmax swish tanh".split()
)
_INTERPOLATIONS = ("bilinear", "nearest")
_AFTER_TRAINING = (
    'kgp.export.export_model(model, path, format="litert", '
    'quantization="int8", representative_dataset=...)'
)


def quantization_aware(model):
    """Makes a network that learns to compute with 8-bit integers.

    The twin of the network in tf_keras, as `to_tf_keras` makes it, in the
    wrappers of `tfmot.quantization.keras.quantize_model`: `compile` and `fit`
    it as a network of tf_keras, with losses and optimizers of tf_keras, then
    write it as integers: `tf.lite.TFLiteConverter.from_keras_model`, with
    `optimizations=[tf.lite.Optimize.DEFAULT]`. Before its first training step
    it computes nothing: it learns the ranges of its numbers there. Models
    inside the network become the layers that they call, and mixed precision
    becomes full precision.

    Args:
        model: What `to_tf_keras` takes, or a functional `tf_keras.Model`.

    Returns:
        A `tf_keras.Model`, not compiled. It shares nothing with the model.

    Raises:
        ImportError: If TensorFlow Model Optimization cannot be imported.
        ValueError: If the model has no twin, or something that TensorFlow
            Model Optimization does not take. All is named.

    Example:

    ```python
    import tf_keras

    quantized = kgp.export.quantization_aware(model)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    quantized.compile("adam", loss, metrics=["accuracy"])
    quantized.fit(images, labels, epochs=2)
    ```
    """
    tfmot = import_tfmot()
    if not isinstance(model, import_tf_keras().Model):
        if hasattr(model, "compact"):
            model = model.compact()
        check_has_twin(model)
        model = to_tf_keras(_prepared(model))
    problems = _problems(model)
    if problems:
        raise _refusal(model, "; ".join(problems))
    try:
        return tfmot.quantization.keras.quantize_model(model)
    except (RuntimeError, TypeError, ValueError) as error:
        raise _refusal(model, error) from error


def _refusal(model, received):
    return ValueError(
        f"TensorFlow Model Optimization cannot train model `{model.name}` for "
        f"integers. Expected: inputs and layers of float32, of the types "
        f"{', '.join(sorted(_LAYERS))}; BatchNormalization only behind one of "
        f"{', '.join(sorted(_BEFORE_NORM))}. Received: {received}. Quantize "
        f"it after training instead: `{_AFTER_TRAINING}`."
    )


def _prepared(model):
    """The same network of Keras 3, in the way that tfmot takes it."""
    graph = keras_internals.functional_graph(model)
    if not any(map(_is_to_change, graph.layers)):
        return model
    for new_layer in (None, _known_layer):  # models inside first
        copy = GraphCopy(graph, new_layer)
        graph = keras.Model(copy.inputs, copy.outputs, name=model.name)
    return in_float32(graph)


def _is_to_change(layer):
    is_mixed = layer.dtype_policy.name.startswith("mixed_")
    return is_mixed or isinstance(layer, (keras.Model, keras.layers.Identity))


def _known_layer(layer):
    """The same layer, in the way that tfmot knows it."""
    if isinstance(layer, keras.layers.Identity):
        return keras.layers.Activation("linear", name=layer.name)
    return clone_layer(layer)


def _problems(model):
    """What it does not take, as descriptions."""
    try:
        graph = tf_keras_graph(model)
    except NoTwin as reason:
        return [str(reason)]
    found = [
        f"input `{graph.input_names[id(tensor)]}` of {tensor.dtype.name}"
        for tensor in keras.tree.flatten(graph.inputs)
        if tensor.dtype != "float32"
    ]
    readers = collections.Counter(
        id(tensor)
        for call in graph.calls
        for tensor in keras.tree.flatten((call.args, call.kwargs))
    )
    readers.update(map(id, keras.tree.flatten(graph.outputs)))
    producers = {
        id(tensor): call.operation
        for call in graph.calls
        for tensor in call.outputs
    }
    for call in graph.calls:
        layer = call.operation
        source = call.args[0] if call.args else None
        if type(layer).__name__ == "BatchNormalization":
            is_alone = readers[id(source)] == 1
            reason = _why_no_norm(producers.get(id(source)), is_alone)
        else:
            reason = _why_not(layer)
        if reason:
            kind = type(layer).__name__
            found.append(f"`{layer.name}` of type {kind} ({reason})")
    return list(dict.fromkeys(found))


def _why_not(layer):
    kind = type(layer).__name__
    if kind not in _LAYERS:
        return "a type that it does not take"
    config = layer.get_config()
    activation = config.get("activation", "linear")
    is_known = activation in _ACTIVATIONS or (
        (kind, activation) == ("Activation", "relu6")
    )
    if not is_known:
        return f"activation {activation!r}: {sorted(_ACTIVATIONS)} are taken"
    interpolation = config.get("interpolation", "nearest")
    if interpolation not in _INTERPOLATIONS:
        return f"interpolation {interpolation!r}, which LiteRT does not have"
    if layer.dtype_policy.name != "float32":
        return f"dtype policy {layer.dtype_policy.name}"
    return None


def _why_no_norm(producer, is_alone):
    kind = type(producer).__name__
    if kind not in _BEFORE_NORM:
        return "not behind a convolution or dense layer"
    if producer.get_config().get("activation", "linear") != "linear":
        return f"behind `{producer.name}`, which has an activation"
    if not is_alone:
        return f"others read `{producer.name}` without it"
    return None

"""A classifier's body, with dilation in place of its last strides."""

import keras

from keras_growprune import keras_internals
from keras_growprune.structure import GraphCopy
from keras_growprune.structure import clone_layer

_POOLS = (
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
)
_MAKE_FINER = (
    keras.layers.Conv2DTranspose,
    keras.layers.Resizing,
    keras.layers.UpSampling2D,
)


def dilated_features(classifier, inputs, output_stride):
    """The features that a classifier sees, at a finer resolution.

    Layers whose strides would make features coarser than `output_stride` lose
    them, and convolutions behind these are dilated, so that each sees what it
    saw (Chen et al., 2017, "Rethinking atrous convolution"). Poolings cannot
    be dilated: behind a stride that is lost they see a smaller part.

    A convolution with `padding="same"` and strides is centred on odd positions
    of an even number of them, and on even ones of an odd number. Where the
    classifier learned with even sizes and here are odd ones, it therefore sees
    what is half a stride away. A size such as 225 is odd at each stride.

    Args:
        classifier: A functional `keras.Model` of images. What comes before its
            last global pooling counts (before that a pooling may serve to
            weigh channels); all of it, if there is none.
        inputs: Symbolic images, of any size.
        output_stride: Size of the images over size of the features. A power
            of 2.

    Returns:
        A symbolic tensor, computed by new layers with the classifier's
        weights: `backbone_` comes before their names, and where they compute
        with floating-point numbers they have the present dtype policy.

    Raises:
        ValueError: If it is no such classifier, or the features cannot have
            that resolution.
    """
    graph = _without_models_inside(_graph_of(classifier, inputs))
    body = keras.Model(graph.inputs, _features(graph, classifier.name))
    strides = _strides(body, classifier.name)
    policy = keras.config.dtype_policy()

    def new_layer(layer):
        config, changes = layer.get_config(), {}
        before, after = strides[id(layer)]
        if after > max(before, output_stride):
            changes["strides"] = 1
        if before > output_stride and "dilation_rate" in config:
            changes["dilation_rate"] = tuple(
                rate * (before // output_stride) for rate in layer.dilation_rate
            )
        if "dtype" in config and keras.backend.is_float_dtype(
            layer.compute_dtype
        ):
            changes["dtype"] = policy
        new = clone_layer(layer, **changes)
        new.name = f"backbone_{layer.name}"
        return new

    expected = tuple(-(-size // output_stride) for size in inputs.shape[1:3])

    def wrong_size(received):
        return ValueError(
            f"The features of the backbone `{classifier.name}` must be "
            f"{output_stride} times smaller than its images: {expected} for "
            f"images of {tuple(inputs.shape[1:3])}. Received: {received}. Its "
            "layers must have `padding='same'`, and strides that make it at "
            f"least {output_stride} times smaller."
        )

    try:
        features = GraphCopy(body, new_layer, inputs=inputs).outputs
    except ValueError as error:  # sums of what has different sizes now
        raise wrong_size(error) from error
    if tuple(features.shape[1:3]) != expected:
        raise wrong_size(tuple(features.shape[1:3]))
    return features


def _graph_of(classifier, inputs):
    is_model = isinstance(classifier, keras.Model)
    graph = keras_internals.functional_graph(classifier) if is_model else None
    if graph is None or len(graph.inputs) != 1:
        raise ValueError(
            "Argument `backbone` must be a functional `keras.Model` with one "
            f"input. Received: {classifier!r}. Load a file by "
            "`keras.models.load_model`, and call a Sequential model once."
        )
    if hasattr(classifier, "compact"):
        raise ValueError(
            "Argument `backbone` must be a plain model. Received: "
            f"{type(classifier).__name__} `{classifier.name}`. Call its "
            "`compact()`."
        )
    shape = tuple(graph.inputs[0].shape[1:])
    if len(shape) != 3 or shape[2] not in (None, inputs.shape[3]):
        raise ValueError(
            "Argument `backbone` must take the images that the network takes: "
            f"(height, width, {inputs.shape[3]}). Received: model "
            f"`{classifier.name}`, which takes {shape}"
        )
    return graph


def _without_models_inside(graph):
    if not any(isinstance(layer, keras.Model) for layer in graph.layers):
        return graph
    copy = GraphCopy(graph)
    return keras.Model(copy.inputs, copy.outputs)


def _features(graph, name):
    """What the last global pooling reads, or the outputs if they are maps."""
    calls, goes_on = keras_internals.graph_calls(graph), set()
    features = keras.tree.flatten(graph.outputs)[0]
    for call in reversed(calls):
        is_pool = isinstance(call.operation, _POOLS)
        if is_pool and not any(id(x) in goes_on for x in call.outputs):
            features = call.inputs[0]
        # What reads this is not the end: there is another pooling, or a map.
        if is_pool or any(_is_map(x) or id(x) in goes_on for x in call.outputs):
            goes_on |= {id(tensor) for tensor in call.inputs}
    if len(features.shape) != 4:
        raise ValueError(
            "Argument `backbone` must be a classifier with a global pooling, "
            "or yield features of the shape (height, width, channels). "
            f"Received: model `{name}` with outputs of the shape "
            f"{tuple(features.shape[1:])}. Cut it off before its head: "
            "`keras.Model(model.inputs, model.get_layer(...).output)`"
        )
    return features


def _is_map(tensor):
    return len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) != (1, 1)


def _strides(model, name):
    """Maps ids of layers to the strides of what they read and yield."""
    found, tensors = {}, {}
    for call in keras_internals.graph_calls(model):
        layer = call.operation
        own = getattr(layer, "strides", 1)
        own = {own} if isinstance(own, int) else set(own)
        makes_finer = isinstance(layer, _MAKE_FINER)
        if makes_finer or len(own) > 1:
            raise ValueError(
                "Argument `backbone` must only make features coarser, as much "
                f"in height as in width. Received: model `{name}` with layer "
                f"`{layer.name}` of type {type(layer).__name__}"
            )
        read = max((tensors.get(id(x), 1) for x in call.inputs), default=1)
        found[id(layer)] = read, read * own.pop()
        for tensor in call.outputs:
            tensors[id(tensor)] = found[id(layer)][1]
    return found

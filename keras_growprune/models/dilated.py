"""A classifier's body, with dilation in place of its last strides."""

import keras

_POOLS = (
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
)


def dilated_features(classifier, inputs, output_stride):
    """The features that a classifier sees, at a finer resolution.

    Layers whose strides would make features coarser than `output_stride` lose
    them, and convolutions behind these are dilated, so that each sees what it
    saw (Chen et al., 2017, "Rethinking atrous convolution").

    Args:
        classifier: A functional `keras.Model` of images. What comes before its
            first global pooling counts; all of it, if there is none.
        inputs: Symbolic images, of any size.
        output_stride: Size of the images over size of the features. A power
            of 2.

    Returns:
        A symbolic tensor, computed by new layers with the classifier's
        weights.

    Raises:
        ValueError: If the features cannot have that resolution.
    """
    pools = [x for x in classifier.layers if isinstance(x, _POOLS)]
    features = pools[0].input if pools else classifier.output
    body = keras.Model(classifier.inputs, features)
    strides = _strides(body)

    def copied(layer):
        config = layer.get_config()
        before, after = strides[layer.name]
        if after > max(before, output_stride):
            config["strides"] = 1
        if before > output_stride and "dilation_rate" in config:
            config["dilation_rate"] = before // output_stride
        return type(layer).from_config(config)

    copy = keras.models.clone_model(
        body, input_tensors=[inputs], clone_function=copied
    )
    copy.set_weights(body.get_weights())
    expected = -(-inputs.shape[1] // output_stride)
    if copy.output.shape[1] != expected:
        raise ValueError(
            f"The features of the backbone `{classifier.name}` must be "
            f"{output_stride} times smaller than its images: {expected} for "
            f"images of {inputs.shape[1]}. Received: {copy.output.shape[1]}. "
            "Its layers must have `padding='same'`, and strides that make it "
            f"at least {output_stride} times smaller."
        )
    return copy.output


def _strides(model):
    """Maps names of layers to the strides of what they read and yield."""
    found, tensors = {}, {}
    for layer in model.layers:  # those that come first first
        read = max(
            (tensors.get(id(x), 1) for x in keras.tree.flatten(layer.input)),
            default=1,
        )
        own = getattr(layer, "strides", 1)
        own = own if isinstance(own, int) else own[0]
        found[layer.name] = read, read * own
        for tensor in keras.tree.flatten(layer.output):
            tensors[id(tensor)] = read * own
    return found

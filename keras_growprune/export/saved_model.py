"""SavedModel in the style of TF Hub."""

import contextlib
import io

import keras
import tensorflow as tf

from keras_growprune import keras_internals
from keras_growprune.backend import quiet_logs
from keras_growprune.export.names import input_names
from keras_growprune.export.names import output_names


def write_saved_model(model, path, batch_size=None):
    """Writes a SavedModel that is callable and can be served.

    `tf.saved_model.load(path)(x)` computes the outputs, which is what
    `hub.load` and `hub.KerasLayer` expect. The signature `serving_default`,
    with inputs and outputs by name, is what TensorFlow Serving expects.

    Args:
        model: A plain `keras.Model`.
        path: Folder to write.
        batch_size: Examples of one call. Defaults to `None`: any.

    Raises:
        OSError: If it cannot be written.
    """
    specs = [_spec(tensor, batch_size) for tensor in model.inputs]
    structure, _ = keras_internals.graph_structure(model)
    names = input_names(model)
    named_specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for spec, name in zip(specs, names)
    ]

    def call(inputs):
        return model(inputs, training=False)

    def serve(*inputs):
        outputs = call(keras.tree.pack_sequence_as(structure, list(inputs)))
        return dict(zip(output_names(model), keras.tree.flatten(outputs)))

    # Not `archive.track(model)`: weights that the endpoints use are written in
    # any case, and those of what is tracked would be written a second time.
    # Other layers may have tables of words.
    archive = keras.export.ExportArchive()
    for layer in keras_internals.all_layers(model):
        if not layer.weights and layer.built:
            archive.track(layer)
    # The first endpoint is what is served.
    archive.add_endpoint("serve", serve, input_signature=named_specs)
    archive.add_endpoint(
        "__call__",
        call,
        input_signature=[keras.tree.pack_sequence_as(structure, specs)],
    )
    try:
        # Keras 3.8 prints what it has written in any case.
        with contextlib.redirect_stdout(io.StringIO()), quiet_logs():
            archive.write_out(str(path), verbose=False)
    except tf.errors.OpError as error:  # a full disk, say
        raise OSError(error.message) from error


def _spec(tensor, batch_size):
    shape = tensor.shape
    if batch_size is not None:
        shape = (batch_size, *shape[1:])
    return tf.TensorSpec(shape, tensor.dtype)

"""SavedModel in the style of TF Hub."""

import keras
import tensorflow as tf


def export_saved_model(model, path):
    """Writes a SavedModel that is callable and can be served.

    `tf.saved_model.load(path)(x)` computes the outputs, which is what
    `hub.load` and `hub.KerasLayer` expect, and the signature
    `serving_default` is what TensorFlow Serving expects.

    Args:
        model: A plain `keras.Model`.
        path: Directory to write.
    """
    signature = keras.tree.map_structure(
        lambda x: tf.TensorSpec(x.shape, x.dtype, name=x.name), model.input
    )
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        name="serve",
        fn=lambda inputs: model(inputs, training=False),
        input_signature=[signature],
    )
    archive.add_endpoint(
        name="__call__",
        fn=lambda inputs: model(inputs, training=False),
        input_signature=[signature],
    )
    archive.write_out(str(path), verbose=False)

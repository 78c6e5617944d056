"""SavedModels."""

from keras_growprune.runtimes.exported_file import ExportedFile

_SIGNATURE = "serving_default"


class SavedModelFile(ExportedFile):
    """The folder of a SavedModel, run by TensorFlow through its signature.

    Args:
        path: Path of the folder.

    Raises:
        ValueError: If it has no signature `serving_default`.
    """

    def __init__(self, path):
        import tensorflow as tf

        self._loaded = tf.saved_model.load(str(path))  # owns the weights
        signatures = self._loaded.signatures
        if _SIGNATURE not in signatures:
            raise ValueError(
                f"The SavedModel `{path}` has no signature `{_SIGNATURE}`. It "
                f"has: {list(signatures)}"
            )
        self._function = signatures[_SIGNATURE]
        _, specs = self._function.structured_input_signature
        self.inputs, self.outputs = (
            {
                name: (_shape(spec.shape), spec.dtype.name)
                for name, spec in ends.items()
            }
            for ends in (specs, self._function.structured_outputs)
        )
        self._constants = lambda inputs: {
            name: tf.constant(inputs[name], dtype)
            for name, (_, dtype) in self.inputs.items()
        }

    def _run(self, inputs):
        outputs = self._function(**self._constants(inputs))
        return {name: value.numpy() for name, value in outputs.items()}

    def prepare(self, inputs):
        constants = self._constants(inputs)

        def run():  # until the numbers are there
            for value in self._function(**constants).values():
                value.numpy()

        return run


def _shape(shape):
    return None if shape.rank is None else tuple(shape)

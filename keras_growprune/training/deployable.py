"""How a growing model leaves the library."""

from keras_growprune import keras_internals
from keras_growprune.export import compact_model
from keras_growprune.export import compile_alike
from keras_growprune.export import export_model
from keras_growprune.export import untrained_model
from keras_growprune.structure import check_not_rewritten
from keras_growprune.structure import refuse_to_rewrite
from keras_growprune.training import validation


class Deployable:
    """Mixin of a growing model: plain networks of it, and files of those."""

    def compact(self, compiled=False):
        """Returns the network as it stands, in plain Keras layers.

        Works at any moment, also before `compile`. The result shares nothing
        with this model and loads without this library; layers keep their
        names.

        Args:
            compiled: Whether it is compiled like this model, with loss,
                metrics and an optimizer that is where this model's is, so
                that training goes on. Defaults to `False`: not compiled.

        Returns:
            A `keras.Model`.

        Raises:
            ValueError: If it is to be compiled, and this model is not, or its
                optimizer or a metric cannot be made anew of its config.
        """
        check_not_rewritten(self)
        if compiled and not self.compiled:
            raise ValueError(
                f"Model `{self.name}` is not compiled, so its compact network "
                "cannot be compiled like it. Call `compile` first, or "
                "`compact()`."
            )
        inputs, outputs = keras_internals.graph_structure(self)
        plain = compact_model(
            self._growth.blueprint.map,
            self.structure,
            inputs,
            outputs,
            self._growth.network.plan.folds(),
            name=self.name,
        )
        if compiled:
            self._build_optimizers()
            compile_alike(self, plain, self.compile_arguments)
        return plain

    def untrained(self, structure=None):
        """Returns a plain network of a structure, with fresh weights.

        To train a structure from scratch, say, or to time it. This model
        stays as it is.

        Args:
            structure: A `Structure`. Defaults to `None`: the present one.

        Returns:
            A `keras.Model` of plain layers, not compiled.
        """
        inputs, outputs = keras_internals.graph_structure(self)
        if structure is None:
            structure = self.structure
        structure = validation.checked_structure(
            structure, self._growth.network
        )
        channel_map = self._growth.blueprint.map
        return untrained_model(channel_map, structure, inputs, outputs)

    def quantize(self, *args, **kwargs):
        """Refused: `model.compact().quantize(...)` does it."""
        refuse_to_rewrite("quantize", self.name)

    def export(self, filepath, format=None, **options):
        """Writes the compact network for serving or for a device.

        Args:
            filepath: Where to write: a folder, a `.tflite` or an `.onnx` file.
            format: `"tf_saved_model"`, `"litert"` or `"onnx"`. Defaults to
                `None`: what the ending of `filepath` tells.
            **options: As in `keras_growprune.export.export_model`, which
                verifies what it wrote.

        Returns:
            A `Verification`.
        """
        return export_model(self, filepath, format, **options)

"""What a growing model writes to files, and takes from them."""

import keras

from keras_growprune import keras_internals
from keras_growprune.cost import Budget
from keras_growprune.growth import GrowthSchedule
from keras_growprune.structure import check_not_rewritten
from keras_growprune.training import checkpoint
from keras_growprune.training import file_format
from keras_growprune.training import validation
from keras_growprune.training.moment import Moment
from keras_growprune.training.moment import WeightList
from keras_growprune.training.moment import shapes_at
from keras_growprune.training.moment import shapes_of
from keras_growprune.training.written_aside import written_aside


class SavedWithStructure:
    """Mixin of a growing model: its structure goes wherever its weights go.

    A file holds what is in the network, what is dormant in host memory, and
    all that growing remembers, so that training goes on where it was.
    """

    def get_weights(self):
        """Returns the weights that are in the network now.

        Returns:
            A list of NumPy arrays that knows its structure: pass the list
            itself to `set_weights`, and both come back.
        """
        return WeightList(super().get_weights(), Moment(self._growth))

    def set_weights(self, weights):
        """Sets the weights, and the structure that they were taken with.

        Args:
            weights: What `get_weights` of this model (or of one made in the
                same way) returned at any time; or a list of arrays of the
                shapes that `weights` has now.

        Raises:
            ValueError: If the shapes are other ones. Nothing is changed then.
        """
        moment = getattr(weights, "moment", None)
        growth = self._growth
        if moment is not None:
            validation.check_moment(moment, growth)
        structure = self.structure if moment is None else moment.structure
        expected = shapes_at(growth, structure, self.weights)
        validation.check_weight_shapes(shapes_of(weights), expected, self.name)
        if moment is not None:
            changes = structure != self.structure
            moment.return_to(growth)
            if changes:
                validation.warn_if_above_budget(growth)
        super().set_weights(list(weights))

    def get_config(self):
        if keras_internals.writes_legacy_file():
            raise _legacy_format("an HDF5 file")
        inputs, outputs = keras_internals.graph_structure(self)
        graph = keras.Model(
            inputs, outputs, name=self.name, trainable=self.trainable
        )
        with self._growth.network.full_attributes():
            graph_config = graph.get_config()
        return {
            **graph_config,
            "budget": self.budget.get_config(),
            "schedule": self.schedule.get_config(),
            "rule": validation.serialize_rule(self._growth.blueprint.rule),
            "width_multiple": (
                self._width_multiple
                if self._width_multiple == "auto"
                else int(self._width_multiple)
            ),
            "seed": self._seed,
            "file_format": file_format.VERSION,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        file_format.check_version(config.pop("file_format", 0))
        arguments = {
            "budget": Budget.from_config(config.pop("budget")),
            "schedule": GrowthSchedule.from_config(config.pop("schedule")),
            "rule": validation.deserialize_rule(config.pop("rule")),
            "width_multiple": config.pop("width_multiple"),
            "seed": config.pop("seed"),
        }
        graph = keras.Model.from_config(config, custom_objects=custom_objects)
        inputs, outputs = keras_internals.graph_structure(graph)
        return cls(
            inputs,
            outputs,
            name=graph.name,
            trainable=graph.trainable,
            **arguments,
        )

    def save(self, filepath, overwrite=True, zipped=None, **kwargs):
        """Saves the model; a file appears whole or not at all.

        Args:
            filepath: Path that ends in `.keras`. (A folder with
                `zipped=False` is written in place.)
            overwrite: Whether to overwrite a file without asking.
            zipped, **kwargs: As in `keras.Model.save`.

        Raises:
            ValueError: If it is a legacy HDF5 file, which cannot hold the
                structure, or layers were quantized or have LoRA weights.
            OSError: If it cannot be written. A file that was there before is
                untouched.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise _legacy_format(filepath)
        check_not_rewritten(self)
        if keras_internals.may_write(filepath, overwrite):
            with written_aside(filepath) as path:
                super().save(path, zipped=zipped, **kwargs)

    def save_weights(self, filepath, overwrite=True, **kwargs):
        """Saves weights and structure; a file appears whole or not at all.

        Args:
            filepath: Path that ends in `.weights.h5`.
            overwrite: Whether to overwrite a file without asking.
            **kwargs: As in `keras.Model.save_weights`.

        Raises:
            ValueError: If layers were quantized or have LoRA weights.
            OSError: If it cannot be written. A file that was there before is
                untouched.
        """
        check_not_rewritten(self)
        if keras_internals.may_write(filepath, overwrite):
            with written_aside(filepath) as path:
                super().save_weights(path, **kwargs)

    def load_weights(self, filepath, skip_mismatch=False, **kwargs):
        """Loads weights and their structure, or leaves the model as it was.

        Args:
            filepath, skip_mismatch, **kwargs: As in
                `keras.Model.load_weights`.

        Raises:
            ValueError: If the file is of another network, of a plain one, of
                a newer version, or damaged.
            OSError: If it cannot be read.
        """
        with checkpoint.unchanged_on_error(self._growth):
            super().load_weights(filepath, skip_mismatch, **kwargs)

    def save_own_variables(self, store):
        check_not_rewritten(self)
        for key, value in checkpoint.to_entries(self._growth).items():
            store[key] = value

    def load_own_variables(self, store):
        # Called before the layers and the optimizer load: it gives them the
        # shapes that were saved.
        checkpoint.from_entries(self._growth, store)


def _legacy_format(filepath):
    return ValueError(
        "A legacy HDF5 file cannot hold the structure of a growing model. "
        f"Expected: a path that ends in `.keras`. Received: {filepath}. Use "
        '`model.save("m.keras")`, `model.save_weights("m.weights.h5")`, or '
        'for the plain network `model.compact().save("m.h5")`.'
    )

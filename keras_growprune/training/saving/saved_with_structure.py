"""What a growing model writes to files, and takes from them."""

import keras

from keras_growprune import backend
from keras_growprune import keras_internals
from keras_growprune.cost import Budget
from keras_growprune.files import written_aside
from keras_growprune.growth import GrowthSchedule
from keras_growprune.structure import check_not_rewritten
from keras_growprune.training import validation
from keras_growprune.training.saving import checkpoint
from keras_growprune.training.saving import file_format
from keras_growprune.training.saving.moment import Moment
from keras_growprune.training.saving.moment import StateTree
from keras_growprune.training.saving.moment import WeightList
from keras_growprune.training.saving.moment import shapes_at
from keras_growprune.training.saving.moment import shapes_of


class SavedWithStructure:
    """Mixin of a growing model: its structure goes wherever its weights go.

    A file holds what is in the network, what is dormant in host memory, and
    all that growing remembers, so that training goes on where it was.
    """

    _breaks_off = False
    # What the model that was saved learned from, in words, or None.
    distillation_left_behind = None

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

    def get_state_tree(self, *args, **kwargs):
        """As in `keras.Model`; the dict that it returns knows its structure."""
        tree = super().get_state_tree(*args, **kwargs)
        return StateTree(tree, Moment(self._growth))

    def set_state_tree(self, state_tree):
        """Sets values, and the structure that they were taken with.

        Args:
            state_tree: What `get_state_tree` of this model returned at any
                time.

        Raises:
            ValueError: If it is of another network. Nothing is changed then.
        """
        moment = getattr(state_tree, "moment", None)
        if moment is not None:
            validation.check_moment(moment, self._growth)
            moment.return_to(self._growth)
        super().set_state_tree(state_tree)

    def save_in_checkpoints(self):
        """Lets `tf.train.Checkpoint` of the model bring the structure back."""

        def write():
            return checkpoint.to_entries(self._growth)

        def read(entries):
            checkpoint.from_entries(self._growth, entries)

        self._in_checkpoints = backend.in_checkpoints(write, read)

    def take_back(self, weights):
        """Returns to a moment since which nothing was trained.

        Args:
            weights: What `get_weights` returned then.
        """
        if weights.moment.structure != self.structure:
            weights.moment.return_to(self._growth, as_if_not_been=True)
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
        teacher = self.distillation
        return {
            **graph_config,
            **({} if teacher is None else {"distillation": repr(teacher)}),
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
        left_behind = config.pop("distillation", None)
        graph = keras.Model.from_config(config, custom_objects=custom_objects)
        inputs, outputs = keras_internals.graph_structure(graph)
        model = cls(
            inputs,
            outputs,
            name=graph.name,
            trainable=graph.trainable,
            **arguments,
        )
        model.distillation_left_behind = left_behind
        return model

    @staticmethod
    def check_checkpoints(callbacks):
        """Refuses callbacks that will save the model in a legacy file.

        Before the first epoch, not at its end.

        Args:
            callbacks: List of callbacks.

        Raises:
            ValueError: If a `ModelCheckpoint` among them is to save the whole
                model in an HDF5 file.
        """
        for callback in callbacks:
            callback = getattr(callback, "callback", callback)
            if not isinstance(callback, keras.callbacks.ModelCheckpoint):
                continue
            path = str(callback.filepath)
            if not callback.save_weights_only and _is_legacy(path):
                raise _legacy_format(path)

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
        if _is_legacy(filepath):
            raise _legacy_format(filepath)
        check_not_rewritten(self)
        if keras_internals.may_write(filepath, overwrite):
            with written_aside(filepath) as path:
                super().save(path, zipped=zipped, **kwargs)

    def save_weights(self, filepath, overwrite=True, max_shard_size=None):
        """Saves weights and structure; a file appears whole or not at all.

        Args:
            filepath: Path that ends in `.weights.h5`.
            overwrite: Whether to overwrite a file without asking.
            max_shard_size: As in `keras.Model.save_weights`. Several files
                are written in place.

        Raises:
            ValueError: If layers were quantized or have LoRA weights.
            OSError: If it cannot be written. A file that was there before is
                untouched.
        """
        if not keras_internals.may_write(filepath, overwrite):
            return
        more = {"max_shard_size": max_shard_size} if max_shard_size else {}
        if more or not str(filepath).endswith(".weights.h5"):
            super().save_weights(filepath, **more)
            return
        content = keras_internals.weights_file(self)
        with written_aside(filepath) as path, open(path, "wb") as file:
            file.write(content)

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
        refused = None
        try:
            with checkpoint.unchanged_on_error(self._growth):
                self._breaks_off = not skip_mismatch
                super().load_weights(filepath, skip_mismatch, **kwargs)
        except _Refused as caught:
            refused = caught.error
        finally:
            self._breaks_off = False
        if refused is not None:
            # Without the traceback, which keeps the file open.
            raise refused.with_traceback(None)

    def save_own_variables(self, store):
        check_not_rewritten(self)
        for key, value in checkpoint.to_entries(self._growth).items():
            store[key] = value

    def load_own_variables(self, store):
        # Called before the layers and the optimizer load: it gives them the
        # shapes that were saved.
        try:
            checkpoint.from_entries(self._growth, store)
        except ValueError as error:
            if self._breaks_off:
                raise _Refused(error) from error
            raise


class _Refused(BaseException):
    """Ends the loading of a file.

    After an `Exception`, Keras goes on with the layers.
    """

    def __init__(self, error):
        super().__init__(str(error))
        self.error = error


def _is_legacy(filepath):
    return str(filepath).endswith((".h5", ".hdf5"))


def _legacy_format(filepath):
    return ValueError(
        "A legacy HDF5 file cannot hold the structure of a growing model. "
        f"Expected: a path that ends in `.keras`. Received: {filepath}. Use "
        '`model.save("m.keras")`, `model.save_weights("m.weights.h5")`, or '
        'for the plain network `model.compact().save("m.h5")`.'
    )

"""What a growing model writes to files, and takes from them."""

import keras

from keras_growprune import keras_internals
from keras_growprune.cost import Budget
from keras_growprune.growth import GrowthSchedule
from keras_growprune.training import checkpoint
from keras_growprune.training import validation


class SavedWithStructure:
    """Mixin of a growing model: its structure goes wherever its weights go.

    A file holds what is in the network, what is dormant in host memory, and
    all that growing remembers, so that training goes on where it was.
    """

    def get_config(self):
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
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
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

    def save_own_variables(self, store):
        for key, value in checkpoint.to_arrays(self._growth).items():
            store[key] = value

    def load_own_variables(self, store):
        # Called before the layers and the optimizer load: it gives them the
        # shapes that were saved.
        checkpoint.from_arrays(self._growth, store)

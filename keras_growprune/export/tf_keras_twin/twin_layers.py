"""The layers of a twin, each made once."""

import inspect

import keras

from keras_growprune.export.tf_keras_twin.graph import NoTwin
from keras_growprune.export.tf_keras_twin.layer_config import class_of_twin
from keras_growprune.export.tf_keras_twin.layer_config import config_of_twin
from keras_growprune.export.tf_keras_twin.weights import copy_states


class TwinLayers:
    """Makes the layers of a twin, one for each layer.

    Args:
        source, target: The two packages, `keras` and `tf_keras`.
        new_model: Function of a model that returns its twin.
    """

    def __init__(self, source, target, new_model):
        self._source, self._target = source, target
        self._new_model = new_model
        self._twins = {}
        # `(layer, its twin)`, those inside others before these.
        self._pairs = []

    def twin(self, layer):
        """The twin of a layer or model, the same one each time."""
        if id(layer) not in self._twins:
            self._twins[id(layer)] = self._make(layer)
            self._pair_up(layer, self._twins[id(layer)])
        return self._twins[id(layer)]

    def copy_states(self):
        """Copies weights, states and what is frozen, once all are built.

        Raises:
            ValueError: If a weight has no equal in the twin.
        """
        # To set this for a layer sets it for all layers inside.
        for old, new in reversed(self._pairs):
            new.trainable = self._is_trained(old)
        for old, new in self._pairs:
            is_model = isinstance(old, self._source.Model)
            if not is_model and not inner_layers(old):
                copy_states(old, new)

    def _is_trained(self, layer):
        """What is inside a frozen layer is frozen too, but not in Keras 3."""
        if self._source is keras:
            inside = any(weight.trainable for weight in layer.weights)
            return layer.trainable or inside
        return not any(
            layer is part
            for old, _ in self._pairs
            if not old.trainable
            for part in (old, *old.submodules)
        )

    def _make(self, layer, **changes):
        if isinstance(layer, self._source.Model):
            return self._new_model(layer)
        new_class = class_of_twin(layer, self._source, self._target)
        config = config_of_twin(layer, self._source, self._target)
        config.update(changes)
        inside = inner_layers(layer)
        if new_class.__name__ == "Bidirectional":
            # Of the first it makes a copy, which is to be the twin.
            drafts = TwinLayers(self._source, self._target, self._new_model)
            forward, backward = (
                drafts._make(part, name=_name_in_bidirectional(part, new_class))
                for part in inside
            )
            return new_class(forward, backward_layer=backward, **config)
        if new_class.__name__ == "StackedRNNCells":
            return new_class([self.twin(cell) for cell in inside], **config)
        return new_class(*[self.twin(part) for part in inside], **config)

    def _pair_up(self, old, new):
        for parts in zip(inner_layers(old), inner_layers(new)):
            self._pair_up(*parts)
        self._pairs.append((old, new))


def _name_in_bidirectional(part, new_class):
    """A name without the prefix that the new layer puts in front of it."""
    name = part.name.removeprefix("forward_")
    if new_class is keras.layers.Bidirectional:
        return name  # the other direction stays as it is called
    return name.removeprefix("backward_")


def inner_layers(layer):
    """The layers inside one that has no weights of its own, a list."""
    kind = type(layer).__name__
    if kind == "TimeDistributed":
        return [layer.layer]
    if kind == "Bidirectional":
        return [layer.forward_layer, layer.backward_layer]
    if kind == "RNN":
        return [layer.cell]
    if kind == "StackedRNNCells":
        return list(layer.cells)
    return []


def inner_models(layer):
    """The models that a layer is or wraps, a list."""
    if hasattr(layer, "layers"):
        return [layer]
    return [
        model for part in inner_layers(layer) for model in inner_models(part)
    ]


def check_layer(layer, source, target):
    """Refuses a layer that has no twin; models in it are not looked at.

    Args:
        layer: A layer that is no model.
        source, target: The two packages, `keras` and `tf_keras`.

    Raises:
        NoTwin: If it, or a layer inside it, has none.
    """
    config_of_twin(layer, source, target)
    for part in inner_layers(layer):
        if isinstance(part, source.Model):
            continue
        try:
            check_layer(part, source, target)
        except NoTwin as reason:
            kind = type(part).__name__
            raise NoTwin(
                f"`{part.name}` of type {kind} in it: {reason}"
            ) from None


def check_arguments(kwargs, new_class):
    """Refuses arguments that the twin's `call` does not take.

    Args:
        kwargs: What the layer is called with, besides its first argument.
        new_class: The class of the twin.

    Raises:
        NoTwin: If there is one.
    """
    known = inspect.signature(new_class.call).parameters
    unknown = sorted(set(kwargs) - set(known))
    if unknown:
        raise NoTwin(f"the other Keras does not call it with {unknown}")

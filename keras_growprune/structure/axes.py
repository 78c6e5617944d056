"""Which axis of which weight follows which channels: one table for all layers.

Slicing, growing, folding and costing are each one generic function over this
table. A layer type that is not in it freezes the channels that it touches.
"""

import dataclasses
import operator
import weakref
from collections.abc import Mapping

from keras_growprune import keras_internals
from keras_growprune.structure.propagation import KINDS

IN = "in"
OUT = "out"
MIDDLE = "middle"


@dataclasses.dataclass(frozen=True)
class LayerAxes:
    """What the library knows of one layer type.

    Attributes:
        weights: Maps the attribute that holds a weight (of a layer inside the
            layer: `"query_dense.kernel"`) to one label per axis: `"in"`
            (follows the input channels), `"out"` (follows the output
            channels), `"middle"` (what a separable convolution has in
            between) or `None` (does not depend on a width).
        channels: What the layer does with channels: `"mix"` (new channels
            from all of the old ones), or one of the other kinds in
            `keras_growprune.structure.propagation`.
        multiplies: Attributes of `weights` that take part in multiply-adds.
        width_attribute: Attribute that holds the number of output channels.
        initializers: Maps a weight's attribute to the attribute that holds
            its initializer, where that is not `<weight>_initializer`; or to
            the initializer, where the layer does not hold it.
        positions: `"output"` or `"input"`: where the multiply-adds of a
            weight are repeated, at every output or every input position.
        scaled_by: Weights that, multiplied by a factor for each output
            channel, multiply the output before the activation.
        states: Weights that no optimizer trains, and that hold what the layer
            has computed last: newcomers start from zero there.
        unknown_widths: How the layer computes where widths are not told: a
            function of `keras_growprune.structure.unknown_widths`, `"try"`,
            or None, as it always does.
    """

    weights: Mapping[str, tuple]
    channels: str
    multiplies: tuple = ()
    width_attribute: str | None = None
    initializers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    positions: str = "output"
    scaled_by: tuple = ()
    states: tuple = ()
    unknown_widths: object = None

    def initializer(self, layer, attribute):
        """Returns the initializer object of a weight, or None."""
        name = self.initializer_name(attribute)
        if name is None:
            return self.initializers[attribute]
        try:
            return operator.attrgetter(name)(layer)
        except AttributeError:
            return None

    def initializer_name(self, attribute):
        """Name of the attribute with a weight's initializer, if it has one."""
        name = self.initializers.get(attribute, f"{attribute}_initializer")
        return name if isinstance(name, str) else None


_TABLE: dict[type, LayerAxes] = {}
# Operations of `keras.ops`, by the names of their classes.
_OPERATIONS: dict[str, LayerAxes] = {}
# Single layers whose classes nobody knows: see `learned_axes`.
_LEARNED = weakref.WeakKeyDictionary()


def register_axes(
    layer_class,
    *,
    channels=None,
    multiplies=("kernel",),
    width_attribute=None,
    initializers=None,
    positions="output",
    scaled_by=(),
    states=(),
    unknown_widths=None,
    **weights,
):
    """Enters a layer type into the table: see `keras_growprune.register_axes`.

    Args:
        layer_class: A `keras.Operation` subclass.
        channels: Any kind of `keras_growprune.structure.propagation`.
        multiplies, width_attribute, initializers, positions, scaled_by,
            **weights: As there.
        states, unknown_widths: As in `LayerAxes`.
    """
    if not isinstance(layer_class, type):
        raise TypeError(
            "Argument `layer_class` must be a layer class. "
            f"Received: layer_class={layer_class!r}. "
            "Pass the class, not an instance of it."
        )
    known = (IN, OUT, MIDDLE, None)
    for name, labels in weights.items():
        unknown = [label for label in labels if label not in known]
        if unknown:
            raise ValueError(
                f"Each axis of weight `{name}` must be labelled 'in', 'out' "
                f"or None. Received: {name}={labels}"
            )
    if channels not in (*KINDS, None):
        raise ValueError(
            "Argument `channels` must be 'mix', 'follow' or None. Received: "
            f"channels={channels!r}"
        )
    if channels is None:
        mixes = any(IN in labels for labels in weights.values())
        channels = "mix" if mixes else "follow"
    _TABLE[layer_class] = LayerAxes(
        weights=dict(weights),
        channels=channels,
        multiplies=tuple(name for name in multiplies if name in weights),
        width_attribute=width_attribute,
        initializers=dict(initializers or {}),
        positions=positions,
        scaled_by=tuple(scaled_by),
        states=tuple(states),
        unknown_widths=unknown_widths,
    )


def register_operation(name, channels, unknown_widths=None):
    """Teaches the library what an operation of `keras.ops` does.

    Args:
        name: Name of its class.
        channels, unknown_widths: As in `register_axes`.
    """
    _OPERATIONS[name] = LayerAxes(
        weights={}, channels=channels, unknown_widths=unknown_widths
    )


def remember(layer, known):
    """Enters a single layer, whose class is not in the table.

    Args:
        layer: The layer.
        known: Its `LayerAxes`.
    """
    _LEARNED[layer] = known


def axes_of(layer):
    """Returns the `LayerAxes` of a layer or operation, or None if unknown."""
    known = axes_of_class(type(layer))
    known = known or _OPERATIONS.get(keras_internals.operation_name(layer))
    return known or _LEARNED.get(layer)


def axes_of_class(layer_class):
    """Returns the `LayerAxes` of a layer class, or None if unknown."""
    return _TABLE.get(registered_class(layer_class))


def registered_class(layer_class):
    """The class in the table that stands for a class, or None."""
    for each in layer_class.__mro__:
        if each in _TABLE:
            return each
    return None


def weight_of(layer, attribute):
    """Returns the variable that an attribute holds, or None.

    Args:
        layer: A layer.
        attribute: Its name; behind dots attributes of what it holds, or
            numbers of items.
    """
    found = layer
    for name in attribute.split("."):
        if name.isdigit():
            items = found or []
            found = items[int(name)] if int(name) < len(items) else None
        else:
            found = getattr(found, name, None)
    return found


def is_growable(layer):
    """Whether the layer's output channels may come and go."""
    return bool(getattr(layer, "is_growable", False))


def channel_axis(layer, tensor):
    """The axis of a tensor along which a layer has its channels."""
    first = getattr(layer, "data_format", None) == "channels_first"
    return 1 if first else len(tensor.shape) - 1

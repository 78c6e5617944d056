"""What growable layers have in common."""

import math
import numbers

import keras

from keras_growprune import keras_internals
from keras_growprune.layers.factors import factor_on
from keras_growprune.structure import axes_of
from keras_growprune.structure import make_layer
from keras_growprune.structure import refuse_to_rewrite


class Growable(keras_internals.Adaptable):
    """Mixin of layers whose output width may change while training.

    Comes before the Keras class in the list of bases. The subclass is in the
    table of axes, with the name of the attribute that holds the width, a
    `keras_internals.Setting`; it always tells the present width, while the
    layer's config keeps the full one.

    Attributes:
        plain_class: The Keras class that the layer extends.
        full_width: The most that the width may become.
        seed_width: What training starts with, or None.
    """

    is_growable = True

    def _init_width(self, full, seed):
        self.full_width = int(full)
        self.seed_width = None if seed is None else int(seed)

    @property
    def _width_name(self):
        return axes_of(self).width_attribute

    def call(self, inputs, *args, **kwargs):
        """As the Keras layer; in a step that measures, with factors on it.

        Args:
            inputs, *args, **kwargs: As the Keras layer takes them.

        Returns:
            Its outputs.
        """
        self._check_in_network()
        with keras_internals.doing("call", self):
            form = self.form_of_call()
            outputs = (
                super().call(inputs, *args, **kwargs)
                if form is None
                else form(self, inputs, *args, **kwargs)
            )
        factor = factor_on(self)
        if factor is None or self._ends_with_activation():
            return outputs
        return factor(outputs)

    @property
    def activation(self):
        """The activation; behind the factor that acts on the layer now.

        It may not commute with it.
        """
        activation = vars(self).get("activation")
        factor = factor_on(self)
        if factor is None or not self._ends_with_activation():
            return activation
        return lambda outputs: activation(factor(outputs))

    @activation.setter
    def activation(self, value):
        vars(self)["activation"] = value

    def _ends_with_activation(self):
        is_known = bool(axes_of(self).scaled_by)
        return is_known and vars(self).get("activation") is not None

    def as_plain_layer(self, **changes):
        """Returns a new layer of the Keras class that this one extends.

        It has the config of this one, and no weights yet.

        Args:
            **changes: Entries of its config that differ. Its width defaults
                to the present one.
        """
        name = self._width_name
        changes = {name: getattr(self, name), **changes}
        return make_layer(
            self.plain_class, self, without=[f"seed_{name}"], **changes
        )

    def get_config(self):
        """Returns the config of the layer at its full width."""
        config = super().get_config()
        config[self._width_name] = self.full_width
        config[f"seed_{self._width_name}"] = self.seed_width
        return config

    def quantize(self, *args, **kwargs):
        """Refused: quantize the layers of what `compact()` returns."""
        refuse_to_rewrite("quantize", self.name)

    def enable_lora(self, *args, **kwargs):
        """Refused: enable it on layers of what `compact()` returns."""
        refuse_to_rewrite("enable_lora", self.name)

    def _check_in_network(self):
        width = getattr(self, self._width_name)
        if isinstance(width, int) and width == 0:
            raise ValueError(
                f"Layer `{self.name}` is out of the network at present: its "
                "branch is off in the `GrowPruneModel` that it belongs to. "
                "Another model that shares the layer cannot call it; build "
                "that model from the network that `compact()` returns."
            )


def check_width(name, full, seed):
    """Refuses a width that no layer can have.

    Args:
        name: The layer's name for its width, `"filters"` or `"units"`.
        full: The most that it may become.
        seed: What training starts with, or None.

    Raises:
        ValueError: If `full` is not a positive integer or `seed` not an
            integer from 1 to `full`.
    """
    if not is_count(full):
        raise ValueError(
            f"Received an invalid value for `{name}`, expected a positive "
            f"integer, the most that the layer may have. Received: "
            f"{name}={full!r}"
        )
    if seed is not None and not (is_count(seed) and seed <= full):
        raise ValueError(
            f"Received an invalid value for `seed_{name}`, expected an "
            f"integer from 1 to `{name}`. Received: seed_{name}={seed!r}, "
            f"{name}={full}"
        )


def is_count(value):
    """Whether a value is a positive integer."""
    is_integer = isinstance(value, numbers.Integral)
    return is_integer and not isinstance(value, bool) and value > 0


def is_number(value):
    """Whether a value is a finite real number."""
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def make_growable(plain_class, width):
    """Makes the growable form of a layer class.

    Args:
        plain_class: A `keras.layers.Layer` subclass in the table of axes.
        width: Name of the constructor's argument, and of the attribute, that
            holds its number of output channels.

    Returns:
        A class, `Growable` and the name of the given one, which has the
        argument `seed_<width>` as well. It can be saved and loaded.
    """

    def __init__(self, *args, **kwargs):
        seed = kwargs.pop(f"seed_{width}", None)
        given = args[0] if args else kwargs.get(width)
        if given is not None:  # else the layer says so
            check_width(width, given, seed)
        plain_class.__init__(self, *args, **kwargs)
        self._init_width(getattr(self, width), seed)

    name = plain_class.__name__
    growable = type(
        f"Growable{name}",
        (Growable, plain_class),
        {
            "__init__": __init__,
            "__doc__": _DOCUMENTATION.format(name=name, width=width),
            "__module__": plain_class.__module__,
            "plain_class": plain_class,
            width: keras_internals.Setting(width),
        },
    )
    register = keras.saving.register_keras_serializable("keras_growprune")
    return register(growable)


_DOCUMENTATION = """A `{name}` whose {width} come and go.

    Inside a `GrowPruneModel`, training starts with few {width}, and {width}
    come and go between epochs. In any other model the layer is a plain
    `{name}`. See `GrowableConv2D` for an example.

    Args:
        {width}: Positive integer, the most that the layer may have. The
            attribute `{width}` always tells the present number.
        seed_{width}: Integer from 1 to `{width}`, how many training starts
            with. Defaults to `None`: what the schedule's `seed_fraction`
            allows.
        *args, **kwargs: All other arguments of `{name}`.

    Raises:
        ValueError: If `{width}` or `seed_{width}` is out of its range.
    """

"""Teaches the library layers of the user's own."""

from keras_growprune.layers.growable import make_growable
from keras_growprune.structure import axes_of_class
from keras_growprune.structure import register_axes as enter_into_table
from keras_growprune.structure.propagation import MIXING
from keras_growprune.structure.unknown_widths import TRY

_GROWABLE = {}


def register_axes(
    layer_class,
    *,
    channels=None,
    multiplies=("kernel",),
    width_attribute=None,
    initializers=None,
    positions="output",
    scaled_by=(),
    **weights,
):
    """Teaches the library how a layer type treats channels.

    Args:
        layer_class: A subclass of `keras.layers.Layer`, or of
            `keras.Operation`. Its own subclasses are covered too, unless they
            are registered themselves.
        channels: `"mix"` or `"follow"`. Left out, a layer with an `"in"` axis
            mixes its input channels into new ones, and one without passes its
            input channels on.
        multiplies: Names of the weights that take part in multiply-adds (for
            FLOPs). Defaults to `("kernel",)`.
        width_attribute: Name of the attribute with the number of output
            channels, such as `"filters"`, which must be an argument of the
            constructor as well. It is kept true when the width changes; and a
            layer that mixes channels can grow in `kgp.growable(...)`. Defaults
            to `None`: there is none.
        initializers: Maps weight names to the attributes that hold their
            initializers, where these are not called `<weight>_initializer`.
            A weight without one has Keras's default, `GlorotUniform`.
        positions: `"output"` (default) or `"input"`: where multiply-adds are
            repeated, at every output or every input position.
        scaled_by: Names of the weights that, multiplied by a factor for each
            output channel, multiply the output before its `activation`:
            `("kernel", "bias")` of a dense layer. Where you give them, the
            worth of a unit is read from their gradients, which costs nothing.
        **weights: One tuple of labels per weight: `"in"`, `"out"` or `None`
            for each axis.

    Raises:
        TypeError: If `layer_class` is not a class.
        ValueError: If a label is not one of `"in"`, `"out"`, `None`, or
            `channels` is unknown.

    Example:

    ```python
    class Scale(keras.layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(shape=(input_shape[-1],))

        def call(self, inputs):
            return inputs * self.factor

    kgp.register_axes(Scale, factor=("out",))

    class Swish(keras.Operation):  # works on each channel alone
        def call(self, x):
            return x * keras.ops.sigmoid(x)

    kgp.register_axes(Swish)
    ```
    """
    enter_into_table(
        layer_class,
        channels=channels,
        multiplies=multiplies,
        width_attribute=width_attribute,
        initializers=initializers,
        positions=positions,
        scaled_by=scaled_by,
        unknown_widths=TRY,
        **weights,
    )
    _GROWABLE.pop(layer_class, None)
    mixes = axes_of_class(layer_class).channels in MIXING
    if width_attribute and mixes:
        # Now, so that a saved model is loaded where this has been called.
        _GROWABLE[layer_class] = make_growable(layer_class, width_attribute)


def growable_class_of(layer_class):
    """Finds the growable layer that was made for a registered layer type.

    Args:
        layer_class: A layer class that was given to `register_axes`.

    Returns:
        A layer class with the argument `seed_<width>` as well, or None where
        the layer type mixes no channels or was registered without a
        `width_attribute`.

    Example:

    ```python
    class MyDense(keras.layers.Dense):
        pass


    kgp.register_axes(
        MyDense, kernel=("in", "out"), bias=("out",), width_attribute="units"
    )
    growable_class = kgp.layers.growable_class_of(MyDense)
    growable_class.__name__  # "GrowableMyDense"
    growable_class(64, seed_units=8).full_width  # 64
    ```
    """
    return _GROWABLE.get(layer_class)

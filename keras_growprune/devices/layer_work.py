"""What the layers of a network give a device to do."""

import dataclasses

from keras_growprune import keras_internals
from keras_growprune.cost import find_multiplications
from keras_growprune.structure import axes_of
from keras_growprune.structure import trace_channels

KINDS = ("convolution", "pointwise", "depthwise", "dense")


@dataclasses.dataclass(frozen=True)
class LayerWork:
    """One convolution or dense layer, for one example.

    Attributes:
        kind: `"convolution"`, `"pointwise"` (a convolution of size 1),
            `"depthwise"` or `"dense"`.
        times: Multiply-adds for each pair of an input and an output channel,
            or for each channel of a depthwise convolution.
        channels: Numbers of channels that are multiplied with each other:
            `(inputs, outputs)`, or `(inputs,)` of a depthwise convolution;
            one of both where attention splits the other into heads.
        outputs: Number of output values.
    """

    kind: str
    times: float
    channels: tuple
    outputs: int

    def to_dict(self):
        """Returns the attributes as a dict that JSON can hold."""
        return {**dataclasses.asdict(self), "channels": list(self.channels)}

    @classmethod
    def from_dict(cls, values):
        """Returns what `to_dict` described."""
        return cls(**{**values, "channels": tuple(values["channels"])})


def kind_of(multiplication):
    """The `LayerWork.kind` of a `Multiplication`."""
    weight = multiplication.weight
    if axes_of(weight.layer).channels in ("attention", "recurrent"):
        return "dense"
    if sum(units is not None for units in weight.units) == 1:
        return "depthwise"
    if all(units is not None for units in weight.units):
        return "dense"
    return "pointwise" if weight.fixed_size == 1 else "convolution"


def graph_of(model):
    """Returns the functional graph of a functional or Sequential model."""
    graph = keras_internals.functional_graph(model)
    if graph is None:
        raise ValueError(
            "Argument `model` must be a functional model, or a Sequential one "
            f"that is built. Received: model={model!r} of type "
            f"{type(model).__name__}"
        )
    return graph


def work_of(model):
    """Lists the `LayerWork` of a functional model's layers.

    Args:
        model: A functional `keras.Model`, or a built Sequential one, with
            inputs of fixed size.

    Returns:
        A list of `LayerWork`, one for each call of a layer that multiplies.
    """
    model = graph_of(model)
    calls = keras_internals.graph_calls(model)
    return [
        LayerWork(
            kind=kind_of(m),
            times=m.times,
            channels=tuple(
                len(units) for units in m.weight.units if units is not None
            ),
            outputs=m.outputs,
        )
        for m in find_multiplications(trace_channels(calls, model.outputs))
    ]

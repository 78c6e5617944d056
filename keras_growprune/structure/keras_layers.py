"""The layers of Keras, and the operations of `keras.ops`, in the table."""

from keras import layers

from keras_growprune import keras_internals
from keras_growprune.structure import unknown_widths as forms
from keras_growprune.structure.axes import register_axes
from keras_growprune.structure.axes import register_operation

_POSITIONS = {"1D": (None,), "2D": (None, None), "3D": (None, None, None)}
_LINEAR = ("kernel", "bias")


def convolution_axes(rank, transposed=False):
    """Arguments of `register_axes` for a convolution.

    Args:
        rank: `"1D"`, `"2D"` or `"3D"`.
        transposed: Whether it is a transposed convolution.
    """
    ends = ("out", "in") if transposed else ("in", "out")
    return dict(
        kernel=(*_POSITIONS[rank], *ends),
        bias=("out",),
        width_attribute="filters",
        positions="input" if transposed else "output",
        scaled_by=_LINEAR,
        unknown_widths=(
            forms.transposed_convolution if transposed else forms.convolution
        ),
    )


def separable_axes(rank):
    """Arguments of `register_axes` for a separable convolution."""
    return dict(
        channels="separable",
        depthwise_kernel=(*_POSITIONS[rank], "in", None),
        pointwise_kernel=(*_POSITIONS[rank], "middle", "out"),
        bias=("out",),
        multiplies=("depthwise_kernel", "pointwise_kernel"),
        width_attribute="filters",
        initializers={
            "depthwise_kernel": "depthwise_initializer",
            "pointwise_kernel": "pointwise_initializer",
        },
        scaled_by=("pointwise_kernel", "bias"),
        unknown_widths=forms.separable_convolution,
    )


def dense_axes():
    """Arguments of `register_axes` for a dense layer."""
    return dict(
        kernel=("in", "out"),
        bias=("out",),
        width_attribute="units",
        scaled_by=_LINEAR,
    )


def _register_mixing_layers():
    register_axes(layers.Dense, **dense_axes())
    for rank, positions in _POSITIONS.items():
        register_axes(getattr(layers, f"Conv{rank}"), **convolution_axes(rank))
        register_axes(
            getattr(layers, f"Conv{rank}Transpose"),
            **convolution_axes(rank, transposed=True),
        )
        if rank == "3D":
            continue
        register_axes(
            getattr(layers, f"SeparableConv{rank}"), **separable_axes(rank)
        )
        register_axes(
            getattr(layers, f"DepthwiseConv{rank}"),
            channels="depthwise",
            initializers={"kernel": "depthwise_initializer"},
            kernel=(*positions, "in", None),
            bias=("out",),
            unknown_widths=forms.depthwise_convolution,
        )
    heads = {
        f"{name}_dense.{weight}": labels
        for name in ("query", "key", "value")
        for weight, labels in (
            ("kernel", ("in", None, None)),
            ("bias", (None, None)),
        )
    }
    register_axes(
        layers.MultiHeadAttention,
        channels="attention",
        multiplies=(
            "query_dense.kernel",
            "key_dense.kernel",
            "value_dense.kernel",
            "output_dense.kernel",
        ),
        **heads,
        **{
            "output_dense.kernel": (None, None, "out"),
            "output_dense.bias": ("out",),
        },
    )


def recurrent_axes():
    """Arguments of `register_axes` for a recurrent layer."""
    return {
        "channels": "recurrent",
        "width_attribute": "units",
        "positions": "input",
        "multiplies": ("cell.kernel", "cell.recurrent_kernel"),
        "states": ("states.0", "states.1"),
        "initializers": {
            "cell.recurrent_kernel": "cell.recurrent_initializer",
        },
        "cell.kernel": ("in", "out"),
        "cell.recurrent_kernel": ("in", "out"),
        "cell.bias": ("out",),
        "states.0": (None, "out"),
        "states.1": (None, "out"),
    }


def embedding_axes():
    """Arguments of `register_axes` for an embedding."""
    return dict(
        channels="embedding",
        embeddings=(None, "out"),
        width_attribute="output_dim",
        multiplies=(),
        scaled_by=("embeddings",),
    )


def reversible_embedding_axes():
    """The same for one that also turns vectors back into scores."""
    return {
        **embedding_axes(),
        # Its entries scale what it reads as well as what it writes.
        "scaled_by": (),
        "multiplies": ("embeddings", "reverse_embeddings"),
        "positions": "input",
        "reverse_embeddings": ("in", None),
        "initializers": {"reverse_embeddings": "embeddings_initializer"},
    }


def _register_layers_of_sequences():
    for layer_class in (layers.LSTM, layers.GRU, layers.SimpleRNN):
        register_axes(layer_class, **recurrent_axes())
    register_axes(layers.Bidirectional, channels="recurrent")
    register_axes(layers.Embedding, **embedding_axes())
    if hasattr(layers, "ReversibleEmbedding"):  # not in Keras 3.8
        register_axes(layers.ReversibleEmbedding, **reversible_embedding_axes())


def _register_norms():
    statistics = """
        gamma beta moving_mean moving_variance moving_stddev renorm_mean
        renorm_stddev
    """.split()
    scaled_by = ("gamma", "beta")
    register_axes(
        layers.BatchNormalization,
        channels="norm",
        scaled_by=scaled_by,
        unknown_widths=forms.batch_normalization,
        **{name: ("out",) for name in statistics},
    )
    for layer_class, channels, form in (
        (layers.LayerNormalization, "norm", forms.layer_normalization),
        (layers.GroupNormalization, "group_norm", forms.group_normalization),
    ):
        register_axes(
            layer_class,
            channels=channels,
            scaled_by=scaled_by,
            unknown_widths=form,
            gamma=("out",),
            beta=("out",),
        )
    if hasattr(layers, "RMSNormalization"):  # not in Keras 3.8
        register_axes(
            layers.RMSNormalization,
            channels="norm",
            scaled_by=("scale",),
            scale=("out",),
        )
    register_axes(layers.UnitNormalization, channels="norm")


def _register_following_layers():
    kinds = {
        "follow": """
            Activation ReLU LeakyReLU ELU Softmax Dropout GaussianDropout
            GaussianNoise AlphaDropout ActivityRegularization Identity Masking
        """,
        "constants": "Rescaling Normalization",
        "permute": "Permute",
        "repeat": "RepeatVector",
        "unite": "Add Subtract Multiply Average Maximum Minimum",
        "concatenate": "Concatenate",
    }
    for channels, names in kinds.items():
        for name in names.split():
            register_axes(getattr(layers, name), channels=channels)
    register_axes(
        layers.Flatten, channels="flatten", unknown_widths=forms.flatten
    )
    register_axes(
        layers.Reshape, channels="reshape", unknown_widths=forms.reshape
    )
    for rank in _POSITIONS:
        for name in (
            "SpatialDropout MaxPooling AveragePooling ZeroPadding Cropping "
            "UpSampling"
        ).split():
            register_axes(getattr(layers, name + rank), channels="follow")
        for name in ("GlobalAveragePooling", "GlobalMaxPooling"):
            register_axes(getattr(layers, name + rank), channels="pool")
    register_axes(layers.Resizing, channels="follow")
    register_axes(layers.PReLU, channels="parametric", alpha=())


def _register_layers_of_applications():
    known = keras_internals.layers_of_applications()
    if "LayerScale" in known:
        register_axes(
            known["LayerScale"],
            width_attribute="projection_dim",
            gamma=("out",),
            scaled_by=("gamma",),
        )
    if "StochasticDepth" in known:
        register_axes(known["StochasticDepth"], channels="follow")
    if "CustomScaleLayer" in known:
        register_axes(known["CustomScaleLayer"], channels="unite")


def _register_operations():
    kinds = {
        "follow": """
            Absolute Abs Fabs Negative Square Sqrt Exp Exp2 Expm1 Log Log10
            Log1p Log2 Reciprocal Sign Sin Cos Tan Sinh Cosh Tanh Arcsin Arccos
            Arctan Arcsinh Arccosh Arctanh Round Floor Ceil Trunc Clip
            NanToNum Cbrt Relu Relu6 Sigmoid SparseSigmoid Softplus Softsign
            SoftShrink SparsePlus Silu Squareplus LogSigmoid LeakyRelu
            HardSigmoid HardSilu Elu Selu Gelu Celu TanhShrink HardTanh
            HardShrink Threshold Softmax LogSoftmax StopGradient Cast
            SaturateCast Copy ZerosLike OnesLike Resize MaxPool AveragePool
            LogicalNot Erf Erfinv Rsqrt
        """,
        "unite": """
            Add Subtract Multiply Divide DivideNoNan TrueDivide FloorDivide
            Power Maximum Minimum Fmax Fmin Mod Fmod Where Greater
            GreaterEqual Less LessEqual Equal NotEqual LogicalAnd LogicalOr
            LogicalXor Logaddexp Arctan2 Hypot
        """,
        "reduce": "Mean Sum Max Min Amax Amin Prod Std Var Any All",
        "concatenate": "Concatenate",
        "transpose": "Transpose Swapaxes Moveaxis",
        "expand": "ExpandDims",
        "squeeze": "Squeeze",
        "slice": "GetItem",
        "pad": "Pad",
    }
    register_operation("Reshape", "reshape", forms.reshape)
    register_operation("Split", "split", forms.split)
    for channels, names in kinds.items():
        for name in names.split():
            register_operation(name, channels)


_register_mixing_layers()
_register_layers_of_sequences()
_register_norms()
_register_following_layers()
_register_layers_of_applications()
_register_operations()

"""What Keras 3 and tf_keras have in common, and what they call otherwise."""

# Layers that compute the same, with the same weights.
LAYERS = frozenset(
    """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout
    Attention Average AveragePooling1D AveragePooling2D AveragePooling3D
    BatchNormalization Bidirectional CenterCrop Concatenate Conv1D
    Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D
    ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D Dense
    DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding
    Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D
    GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization Identity LSTM
    LSTMCell LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D
    MaxPooling3D Maximum Minimum MultiHeadAttention Multiply Normalization
    PReLU Permute RNN ReLU RepeatVector Rescaling Reshape Resizing
    SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell Softmax
    SpatialDropout1D SpatialDropout2D SpatialDropout3D StackedRNNCells Subtract
    TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D
    ZeroPadding1D ZeroPadding2D ZeroPadding3D
    """.split()
)

# Activations that compute the same; `hard_sigmoid`, for one, does not.
ACTIVATIONS = frozenset(
    """
    elu exponential gelu leaky_relu linear log_softmax mish relu relu6 selu
    sigmoid silu softmax softplus softsign swish tanh
    """.split()
)

POLICIES = frozenset(
    """
    bfloat16 float16 float32 float64 int32 int64 mixed_bfloat16 mixed_float16
    """.split()
)

# By layer: what Keras 3 and tf_keras call the same argument.
RENAMED = {"LeakyReLU": ("negative_slope", "alpha")}

# By layer: an argument that the config of Keras 3.8 leaves out.
LEFT_OUT = {
    "Conv1DTranspose": "output_padding",
    "Conv2DTranspose": "output_padding",
    "Conv3DTranspose": "output_padding",
    "ELU": "alpha",
}

# By layer: what Keras 3 and tf_keras call the same weight.
RENAMED_WEIGHTS = {
    "DepthwiseConv1D": ("kernel", "depthwise_kernel"),
    "DepthwiseConv2D": ("kernel", "depthwise_kernel"),
}

ANY = object()

# Arguments that the other one does not have: the value at which it computes
# the same without it, or `ANY` where it makes no difference.
ONLY_IN_KERAS_3 = {
    "antialias": False,
    "data_format": "channels_last",
    "dilation_rate": 1,
    "fill_mode": ANY,
    "fill_value": ANY,
    "flash_attention": ANY,
    "noise_shape": None,
    "pad_to_aspect_ratio": False,
    "quantization_config": None,
    "renorm": False,
    "renorm_clipping": ANY,
    "renorm_momentum": ANY,
    "rms_scaling": False,
    "seed": ANY,
    "sliding_window": None,
    "use_cudnn": ANY,
    "use_gate": False,
    "zero_output_for_mask": False,
}
ONLY_IN_TF_KERAS = {
    "batch_input_shape": ANY,
    "dynamic": False,
    "groups": 1,
    "implementation": ANY,
    "input_length": ANY,
    # Of separable convolutions, which have two kernels with their own.
    "kernel_constraint": ANY,
    "kernel_initializer": ANY,
    "kernel_regularizer": ANY,
    "key_shape": ANY,
    "noise_shape": None,
    "query_shape": ANY,
    "ragged": False,
    "robust_masking": False,
    "softmax_robust_masking": False,
    "sparse": False,
    "time_major": False,
    "value_shape": ANY,
}

"""Layers whose weights were rewritten in another form: int8, LoRA."""

from keras_growprune import keras_internals


def check_not_rewritten(model):
    """Refuses a network whose weights no longer are those that can grow.

    Args:
        model: The network, a `keras.Model`.

    Raises:
        ValueError: If a layer is quantized, is about to be when it is built,
            or has LoRA weights.
    """
    found = []
    for layer in keras_internals.all_layers(model):
        mode = getattr(layer, "quantization_mode", None)
        if mode is not None:
            found.append(f"`{layer.name}` (quantized, {mode})")
        elif getattr(layer, "lora_enabled", False):
            found.append(f"`{layer.name}` (LoRA)")
    if found:
        raise ValueError(
            "The weights of a growing network change their shape, which "
            "layers with rewritten weights cannot follow. Expected: layers "
            f"that are neither quantized nor have LoRA weights. Received: "
            f"{', '.join(found)} in model `{model.name}`. {_FIX}"
        )


def refuse_to_rewrite(method, name):
    """Says what to call instead of `quantize` or `enable_lora`.

    Args:
        method: Name of the method that was called.
        name: Name of the model or layer that has it.

    Raises:
        ValueError: Always.
    """
    raise ValueError(
        f"`{name}` can grow, so its weights cannot be rewritten. Expected: "
        f"`{method}` on a plain network. Received: `{method}` on a growing "
        f"one. {_FIX}"
    )


_FIX = (
    "Train first, then rewrite the weights of what `compact()` returns: "
    '`model.compact().quantize("int8")`, or `enable_lora` on its layers.'
)

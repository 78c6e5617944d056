"""What layers with a branch that may leave have in common."""

import keras


class GatedPair(keras.layers.Layer):
    """A layer of a shortcut and a branch of equal shape."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        shapes = [
            tuple(shape)
            for shape in input_shape
            if isinstance(shape, (list, tuple))
        ]
        if len(shapes) != 2 or shapes[0] != shapes[1]:
            raise ValueError(
                f"A `{type(self).__name__}` layer must be called on a list of "
                "two tensors of equal shape, `[shortcut, branch]`. Received: "
                f"input_shape={input_shape}"
            )
        self.built = True

    def compute_mask(self, inputs, previous_mask):
        # As a sum of Keras has it: none where one of the two has none.
        return keras.layers.Add.compute_mask(self, inputs, previous_mask)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

"""Pictures of what a network for segmentation predicts."""

import numpy as np
from PIL import Image
from segmentation_data import VOID

_GAP = 4


def draw(model, images, masks, palette, path, most=8):
    """Draws images, their masks, and what a model predicts, row by row.

    Args:
        model: A Keras model whose outputs are logits of each pixel.
        images: Array `(count, height, width, 3)`, from -1 to 1.
        masks: Integer array `(count, height, width)`.
        palette: Array `(256, 3)`, the colours of the classes.
        path: PNG file to write.
        most: Most images to draw.
    """
    images, masks = np.array(images[:most]), np.array(masks[:most])
    logits = model.predict(images, batch_size=1, verbose=0)
    predicted = np.argmax(logits, axis=-1)
    # What is void is not asked for.
    predicted = np.where(masks == VOID, VOID, predicted)
    rows = [
        _beside(
            [((image + 1) * 127.5).astype("uint8"), palette[mask], palette[own]]
        )
        for image, mask, own in zip(images, masks, predicted)
    ]
    Image.fromarray(np.concatenate(rows, axis=0)).save(path)


def _beside(pictures):
    """Pictures of one size, with a gap around each."""
    room = [(_GAP, _GAP), (_GAP, _GAP), (0, 0)]
    return np.concatenate(
        [np.pad(each, room, constant_values=255) for each in pictures], axis=1
    )

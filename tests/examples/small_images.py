"""A set for segmentation with few images, in the layout of PASCAL VOC."""

import numpy as np
from PIL import Image

# All 256 colours, or the files would have fewer bits than 255 needs.
PALETTE = np.zeros((256, 3), "uint8")
PALETTE[1:3] = [200, 30, 30], [30, 30, 200]
VOID = 255


def write(folder, size=(24, 20), train=6, val=4):
    """Writes it: a red or a blue square on noise, with a rim of void.

    Args:
        folder: A `pathlib.Path`.
        size: Height and width of the images.
        train, val: How many images the two lists have.

    Returns:
        The folder that holds `JPEGImages` and so on.
    """
    root = folder / "VOCdevkit" / "VOC2012"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / part).mkdir(parents=True)
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        names = [f"{split}_{index}" for index in range(count)]
        for index, name in enumerate(names):
            image = random.integers(60, 120, (*size, 3)).astype("uint8")
            mask = np.zeros(size, "uint8")
            label = 1 + index % 2
            top, left = random.integers(1, 8, 2)
            mask[top : top + 10, left : left + 10] = VOID
            mask[top + 1 : top + 9, left + 1 : left + 9] = label
            image[mask == label] = PALETTE[label]
            Image.fromarray(image).save(
                root / "JPEGImages" / f"{name}.jpg", quality=95
            )
            picture = Image.fromarray(mask)
            picture.putpalette(PALETTE.ravel().tolist())
            picture.save(root / "SegmentationClass" / f"{name}.png")
        lists = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        lists.write_text("\n".join(names) + "\n")
    return root

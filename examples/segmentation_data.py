"""Images with a class for each pixel, in the layout of PASCAL VOC 2012."""

import colorsys
import dataclasses
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image

VOID = 255  # pixels that nobody gave a class
_PARTS = ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")
_GOLDEN_RATIO = 0.618034
_ARCHIVE = "VOCtrainval_11-May-2012.tar"


@dataclasses.dataclass(frozen=True)
class Split:
    """Images of one purpose.

    Attributes:
        images: List of paths of JPEG files.
        masks: List of paths of PNG files with a palette: the index of a pixel
            is its class.
    """

    images: list
    masks: list

    def __len__(self):
        return len(self.images)

    def palette(self):
        """The colours of the first mask, an array `(256, 3)`; void white.

        A grey mask has none: classes get hues far from each other.
        """
        colours = Image.open(self.masks[0]).getpalette()
        palette = np.zeros((256, 3), "uint8")
        if colours is None:
            hues = np.arange(1, 256) * _GOLDEN_RATIO % 1
            colours = [colorsys.hsv_to_rgb(hue, 0.7, 0.9) for hue in hues]
            palette[1:] = np.round(255 * np.array(colours))
        else:
            palette.reshape(-1)[: len(colours)] = colours
        palette[VOID] = 255
        return palette

    def count_classes(self):
        """One more than the largest class in the masks."""
        largest = 0
        for path in self.masks:
            mask = read_mask(path)
            largest = max(largest, int(mask[mask != VOID].max(initial=0)))
        return largest + 1

    def largest_size(self):
        """The largest height and the largest width of the images."""
        sizes = [Image.open(path).size for path in self.images]
        width, height = np.max(sizes, axis=0)
        return int(height), int(width)


def folder_of(data):
    """The folder that holds `JPEGImages` and the like.

    Args:
        data: Such a folder, or one above it; or `"voc"`: PASCAL VOC 2012,
            which TFDS downloads (2 GB) where it is not there yet. Its own
            records leave the masks out, so the archive is read.

    Raises:
        ValueError: If there is no such folder.
    """
    top = _downloaded() if data == "voc" else pathlib.Path(data).expanduser()
    folders = [top, *sorted(top.glob("*/")), *sorted(top.glob("*/*/"))]
    for folder in folders:
        if all((folder / part).is_dir() for part in _PARTS):
            return folder
    raise ValueError(
        f"A data set for segmentation must be a folder with {_PARTS}, or one "
        f"above it; or 'voc'. Received: {data!r}, where there is none."
    )


def load(folder, name):
    """The `Split` that is called `"train"`, `"val"` or the like.

    Args:
        folder: What `folder_of` returned.
        name: Name of a file in `ImageSets/Segmentation`, without its ending.

    Raises:
        ValueError: If there is no such list, it is empty, or a mask has
            another size than its image.
        OSError: If a picture is missing or is none.
    """
    lists = folder / "ImageSets" / "Segmentation"
    found = sorted(each.stem for each in lists.glob("*.txt"))
    if name not in found:
        raise ValueError(
            f"Expected: one of the lists in {lists}: {', '.join(found)}. "
            f"Received: {name!r}"
        )
    names = (lists / f"{name}.txt").read_text().split()
    if not names:
        raise ValueError(f"The list {lists / name}.txt is empty.")
    split = Split(
        [str(folder / "JPEGImages" / f"{each}.jpg") for each in names],
        [str(folder / "SegmentationClass" / f"{each}.png") for each in names],
    )
    for paths in zip(split.images, split.masks):
        sizes = [Image.open(path).size for path in paths]
        if sizes[0] != sizes[1]:
            raise ValueError(
                "A mask must have the size of its image. Received: "
                f"{sizes[0]} in {paths[0]}, {sizes[1]} in {paths[1]}"
            )
    return split


def read_mask(path):
    """The classes of a mask's pixels, `(height, width)`, uint8.

    Raises:
        ValueError: If it is no picture with a palette, nor a grey one.
    """
    if isinstance(path, bytes):
        path = path.decode()
    picture = Image.open(path)
    mask = np.array(picture)
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise ValueError(
            "A mask must be a PNG whose pixels are classes from 0 to 254, or "
            "255 for void: with a palette, or grey with 8 bits. Received: "
            f"mode {picture.mode} in {path}. Colours have to be replaced by "
            "the numbers of their classes."
        )
    return mask


def training_batches(split, size, batch_size, seed, scales=(0.5, 2.0)):
    """Shuffled batches: each image scaled, cut out and mirrored at random.

    Args:
        split: The `Split`.
        size: Height and width of what is cut out. Where an image is smaller,
            the rest is void.
        batch_size: Images in a batch. An incomplete last one is left out.
        seed: Seed of order and augmentation; the same one gives the same
            batches, epoch by epoch.
        scales: Smallest and largest factor on the images' size.

    Returns:
        A `tf.data.Dataset` of `(images, masks)`: float32 from -1 to 1, and
        uint8. Images as they are on the disk stay in memory.
    """
    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    data = _decoded(split).cache()
    data = data.shuffle(len(split), seed=seed)
    data = tf.data.Dataset.zip((data, numbers.batch(2)))
    data = data.map(
        lambda example, number: _augmented(*example, number, size, scales),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return data.batch(batch_size, drop_remainder=True).prefetch(2)


def evaluation_batches(split, size, batch_size):
    """Batches of whole images, in order; void where an image ends.

    Args:
        split: The `Split`.
        size: Height and width of the batches, as large as the largest image.
        batch_size: Images in a batch.

    Returns:
        A `tf.data.Dataset`, as that of `training_batches`.

    Raises:
        ValueError: If an image is larger.
    """
    largest = split.largest_size()
    if max(largest) > size:
        raise ValueError(
            "Whole images are evaluated, so `size` must be as large as the "
            f"largest one: {max(largest)}. Received: size={size}, images of up "
            f"to {largest[0]} x {largest[1]}"
        )
    # As they are on the disk they take a fifth of the memory.
    data = (
        _decoded(split)
        .cache()
        .map(
            lambda image, mask: _padded(_from_bytes(image), mask, size),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
    )
    return data.batch(batch_size).prefetch(2)


def _downloaded():
    """Where TFDS has unpacked PASCAL VOC 2012."""
    import tensorflow_datasets as tfds

    builder = tfds.builder("voc/2012")
    (url,) = (url for url in builder.url_infos if url.endswith(_ARCHIVE))
    manager = tfds.download.DownloadManager(
        dataset_name=builder.name,
        download_dir=pathlib.Path(builder.data_dir).parents[2] / "downloads",
        url_infos=builder.url_infos,
    )
    return pathlib.Path(manager.download_and_extract(url))


def _decoded(split):
    data = tf.data.Dataset.from_tensor_slices((split.images, split.masks))

    def decoded(image, mask):
        image = tf.io.decode_jpeg(tf.io.read_file(image), channels=3)
        # TensorFlow itself would turn indices into colours.
        mask = tf.numpy_function(read_mask, [mask], tf.uint8)
        mask = tf.ensure_shape(mask, (None, None))
        return image, mask

    return data.map(decoded, num_parallel_calls=tf.data.AUTOTUNE)


def _from_bytes(image):
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def _augmented(image, mask, number, size, scales):
    seeds = tf.unstack(tf.random.split(tf.cast(number, tf.int32), 4), axis=0)
    low, high = scales
    scale = tf.random.stateless_uniform([], seeds[0], low, high)
    shape = tf.cast(tf.shape(mask), tf.float32)
    shape = tf.cast(tf.maximum(tf.round(shape * scale), 1), tf.int32)
    image = tf.image.resize(_from_bytes(image), shape)
    mask = tf.image.resize(mask[..., None], shape, "nearest")[..., 0]
    room = tf.maximum(shape - size, 0)
    start = tf.cast(
        tf.random.stateless_uniform([2], seeds[1])
        * tf.cast(room + 1, tf.float32),
        tf.int32,
    )
    image = image[start[0] : start[0] + size, start[1] : start[1] + size]
    mask = mask[start[0] : start[0] + size, start[1] : start[1] + size]
    image, mask = _padded(image, mask, size)
    mirrored = tf.random.stateless_uniform([], seeds[2]) < 0.5
    return (
        tf.where(mirrored, image[:, ::-1], image),
        tf.where(mirrored, mask[:, ::-1], mask),
    )


def _padded(image, mask, size):
    """Grey and void on the right and below, up to a size."""
    height, width = tf.unstack(size - tf.shape(mask))
    room = [[0, height], [0, width]]
    image = tf.pad(image, [*room, [0, 0]])
    mask = tf.pad(mask, room, constant_values=VOID)
    return (
        tf.ensure_shape(image, (size, size, 3)),
        tf.ensure_shape(mask, (size, size)),
    )

"""Image data sets by name: scikit-learn's digits, or anything in TFDS."""

import numpy as np
import tensorflow as tf


def load(name, seed=0):
    """Loads a data set of labelled images.

    Args:
        name: `"digits"` (1,797 real handwritten digits that come with
            scikit-learn) or the name of a TFDS image classification set, such
            as `"fashion_mnist"` or `"cifar10"`.
        seed: Seed of the split of data that comes without one.

    Returns:
        `(train images, train labels), (test images, test labels)`: float32
        images with zero mean and unit variance per channel, integer labels.
    """
    train, test = _digits(seed) if name == "digits" else _tfds(name)
    mean = train[0].mean(axis=(0, 1, 2))
    deviation = train[0].std(axis=(0, 1, 2)) + 1e-7
    return tuple(
        (((images - mean) / deviation).astype("float32"), labels)
        for images, labels in (train, test)
    )


def _digits(seed):
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1).astype("float32")
    parts = train_test_split(
        images, labels, test_size=0.25, random_state=seed, stratify=labels
    )
    return (parts[0], parts[2]), (parts[1], parts[3])


def _tfds(name):
    import tensorflow_datasets as tfds

    builder = tfds.builder(name)
    builder.download_and_prepare()
    parts = []
    for split in ("train", "test"):
        data = builder.as_dataset(
            split=split, batch_size=-1, as_supervised=True
        )
        images, labels = tfds.as_numpy(data)
        parts.append((np.asarray(images, "float32"), np.asarray(labels)))
    return parts


def batches(
    images, labels, batch_size, seed, augment=True, drop_remainder=False
):
    """Shuffled training batches, augmented as is usual for CIFAR-10.

    Each image is padded with zeros by an eighth of its size on all sides, cut
    out again at a random place, and mirrored in half of the cases.

    Args:
        images: Array `(count, height, width, channels)`.
        labels: Array `(count,)`.
        batch_size: Images in a batch.
        seed: Seed of order and augmentation; the same one gives the same
            batches, epoch by epoch.
        augment: Whether to augment at all.
        drop_remainder: Whether to leave out the last batch of an epoch where
            it is smaller. Of three images, say, batch norms learn nothing
            good.

    Returns:
        A `tf.data.Dataset` of one epoch, another one each time it is read.
    """
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    data = data.shuffle(len(images), seed=seed)
    data = data.batch(batch_size, drop_remainder=drop_remainder)
    if augment:
        numbers = tf.data.Dataset.random(
            seed=seed, rerandomize_each_iteration=True
        )
        data = tf.data.Dataset.zip((data, numbers.batch(2)))
        data = data.map(
            lambda batch, numbers: (_augment(batch[0], numbers), batch[1])
        )
    return data.prefetch(2)


def _augment(images, seed):
    count = tf.shape(images)[0]
    height, width = images.shape[1:3]
    pads = (height // 8, width // 8)
    padded = tf.pad(images, [[0, 0], *[[pad, pad] for pad in pads], [0, 0]])
    for axis, (size, pad) in enumerate(zip((height, width), pads), start=1):
        start = tf.random.stateless_uniform(
            [count, 1], seed + axis, 0, 2 * pad + 1, tf.int32
        )
        places = start + tf.range(size)
        padded = tf.gather(padded, places, axis=axis, batch_dims=1)
    mirrored = tf.random.stateless_uniform([count, 1, 1, 1], seed) < 0.5
    return tf.where(mirrored, tf.reverse(padded, [2]), padded)

"""Image data sets by name: scikit-learn's digits, or anything in TFDS."""

import numpy as np


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

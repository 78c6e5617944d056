"""CIFAR-10 as arrays, and as batches on the device."""

import pathlib
import pickle

import numpy as np
import torch
import torch.nn.functional as F

from pytorch_witness.compact import padded

_MEAN = 125.3, 123.0, 113.9
_DEVIATION = 63.0, 62.1, 66.7
_BORDER = 4
_SIZE = 32


def load(source, count=None):
    """Loads CIFAR-10.

    Args:
        source: Path of a `.npz` file (`x_train`, `y_train`, `x_test`,
            `y_test`), or of a folder with `cifar-10-batches-py` (or of that
            folder). Where there is neither, `torchvision` downloads it.
        count: Training images to take. Defaults to `None`: all.

    Returns:
        `(images, labels), (test images, test labels)`, images as `(count, 32,
        32, 3)` bytes.
    """
    (images, labels), test = _load(pathlib.Path(source).expanduser())
    return (images[:count], labels[:count]), test


def _load(source):
    if source.suffix == ".npz":
        with np.load(source) as file:
            return tuple(
                (file[f"x_{part}"], file[f"y_{part}"].reshape(-1))
                for part in ("train", "test")
            )
    batches = source / "cifar-10-batches-py"
    if (source / "data_batch_1").exists():
        batches = source
    if not batches.exists():
        from torchvision.datasets import CIFAR10  # only to download

        CIFAR10(source, download=True)
    train = [_batch(batches / f"data_batch_{i}") for i in range(1, 6)]
    images, labels = (np.concatenate(each) for each in zip(*train))
    return (images, labels), _batch(batches / "test_batch")


def _batch(path):
    with open(path, "rb") as file:
        content = pickle.load(file, encoding="bytes")
    images = np.array(content[b"data"]).reshape(-1, 3, _SIZE, _SIZE)
    return images.transpose(0, 2, 3, 1), np.array(content[b"labels"])


class Images:
    """Images on the device, normalized, channels last and filled up.

    Args:
        arrays: What `load` returned.
        device: Device.
        dtype: Type to compute in.
    """

    def __init__(self, arrays, device, dtype):
        (images, labels), (test_images, test_labels) = arrays
        self.device, self.dtype = device, dtype
        border = (0, 0, *(2 * (_BORDER,)), *(2 * (_BORDER,)))
        self._bordered = F.pad(self._normalized(images), border)
        self.labels = torch.tensor(labels, dtype=torch.long, device=device)
        self.test_images = self._normalized(test_images)
        self.test_labels = torch.tensor(
            test_labels, dtype=torch.long, device=device
        )

    def __len__(self):
        return len(self.labels)

    def _normalized(self, images):
        mean = torch.tensor(_MEAN, device=self.device)
        deviation = torch.tensor(_DEVIATION, device=self.device)
        images = torch.tensor(np.ascontiguousarray(images), device=self.device)
        return torch.cat(
            [
                ((part.float() - mean) / deviation).to(self.dtype)
                for part in images.split(10_000)
            ]
        )

    def buffer(self):
        """A tensor for the augmented images of an epoch."""
        shape = (len(self), _SIZE, _SIZE, padded(3))
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    def augment(self, buffer, generator):
        """Fills a buffer with images that are shifted and maybe mirrored."""
        places = torch.arange(_SIZE, device=self.device)
        for first in range(0, len(self), 10_000):
            index = torch.arange(
                first, min(first + 10_000, len(self)), device=self.device
            )
            shifts = torch.randint(
                0,
                2 * _BORDER + 1,
                (2, len(index), 1),
                generator=generator,
                device=self.device,
            )
            mirrored = torch.randint(
                0,
                2,
                (len(index), 1),
                generator=generator,
                device=self.device,
            )
            rows = shifts[0] + places
            columns = shifts[1] + torch.where(
                mirrored > 0, places.flip(0), places
            )
            buffer[first : first + len(index), ..., :3] = self._bordered[
                index[:, None, None], rows[:, :, None], columns[:, None, :]
            ]

    def test_batches(self, size=1000):
        """`(images, labels)`, filled up."""
        for images, labels in zip(
            self.test_images.split(size), self.test_labels.split(size)
        ):
            images = F.pad(images, (0, padded(3) - 3))
            yield images.permute(0, 3, 1, 2), labels

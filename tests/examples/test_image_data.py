"""The augmented batches that examples and benchmarks train on."""

import image_data
import numpy as np


def epoch(data):
    parts = list(zip(*[(x.numpy(), y.numpy()) for x, y in data]))
    return np.concatenate(parts[0]), np.concatenate(parts[1])


def dots(count=64, size=16):
    """Images with one bright pixel, to the right of the middle."""
    images = np.zeros((count, size, size, 1), "float32")
    images[:, 8, 10] = 1.0
    return images, np.arange(count)


def test_without_augmentation_batches_are_the_shuffled_images():
    images = np.arange(20.0).reshape(20, 1, 1, 1)
    x, y = epoch(image_data.batches(images, np.arange(20), 8, 0, False))
    assert x.ravel().tolist() == y.tolist() != list(range(20))
    assert sorted(y) == list(range(20))


def test_the_same_seed_gives_the_same_epochs_and_each_is_another_one():
    first, second = (image_data.batches(*dots(), 16, seed=3) for _ in range(2))
    epochs = [epoch(first), epoch(first)]
    for x, y in epochs:
        other_x, other_y = epoch(second)
        np.testing.assert_array_equal(y, other_y)
        np.testing.assert_array_equal(x, other_x)
    assert not np.array_equal(epochs[0][0], epochs[1][0])
    other = epoch(image_data.batches(*dots(), 16, seed=4))
    assert not np.array_equal(other[0], epochs[0][0])


def test_images_move_by_an_eighth_at_most_and_half_of_them_are_mirrored():
    x, _ = epoch(image_data.batches(*dots(2000), 250, seed=0))
    _, rows, columns, _ = np.nonzero(x)
    assert len(rows) == 2000  # the pixel never leaves
    assert set(rows) == {6, 7, 8, 9, 10}
    # Column 10, or its mirror image 5, each two to either side.
    assert set(columns) == {3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
    assert 0.45 < np.mean(columns <= 7) < 0.55
    counts = np.bincount(rows)[6:]
    assert counts.min() > 330 and counts.max() < 470
    # Images of one batch do not move alike.
    assert len(set(rows[:250])) == 5

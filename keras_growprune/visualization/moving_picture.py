"""Frames of a figure, and the files that they go to."""

import math
import os

import numpy as np

from keras_growprune.files import new_aside

MOVING_PICTURES = (".gif", ".webp")
_COLORS = 128  # more of them make files larger, not better


def frames(figure, artists, states, show):
    """Draws a figure once for each of some states.

    Args:
        figure: A figure with a canvas of pixels.
        artists: What changes, from back to front. All else is drawn once.
        states: Iterable.
        show: Function that shows one of them.

    Returns:
        List of `PIL.Image.Image`.
    """
    from PIL import Image

    canvas = figure.canvas
    for artist in artists:
        artist.set_animated(True)
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)
    images = []
    for state in states:
        show(state)
        canvas.restore_region(background)
        for artist in artists:
            figure.draw_artist(artist)
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        images.append(Image.fromarray(pixels.copy()))
    return images


def save_frames(images, durations, path, colors):
    """Writes a GIF or a WebP that runs forever, whole or not at all.

    Args:
        images: List of `PIL.Image.Image`.
        durations: Milliseconds of each, multiples of ten.
        path: Ends in `.gif` or `.webp`.
        colors: Array of shape `(colors, 3)`, from 0 to 255, those to keep
            exactly in a GIF.
    """
    options = dict(
        save_all=True, duration=durations, loop=0, append_images=images[1:]
    )
    if os.fspath(path).lower().endswith(".gif"):
        images = _with_one_palette(images, colors)
        options.update(append_images=images[1:], optimize=False, disposal=1)
    else:
        options.update(lossless=True, quality=60, method=3)
    with new_aside(path, overwrite=True) as aside:
        images[0].save(aside, **options)


def _with_one_palette(images, colors):
    """The same colours in all frames, or still parts would flicker."""
    from PIL import Image

    counts = np.zeros(2**24, dtype=np.int64)
    for image in images:
        counts += np.bincount(_packed(image).ravel(), minlength=2**24)
    found = np.flatnonzero(counts)
    palette = _palette(colors, found, counts[found])
    # Pillow would look colours up by their upper bits alone: on a dark
    # background, where many are close together, it takes wrong ones.
    index_of = np.zeros(2**24, dtype=np.uint8)
    index_of[found] = _nearest(_unpacked(found), palette)
    result = []
    for image in images:
        image = Image.fromarray(index_of[_packed(image)])
        image.putpalette(palette.flatten().tolist())
        result.append(image)
    return result


def _palette(colors, found, counts):
    """The given colours that a picture has, and what stands for the others.

    Args:
        colors: Array of shape `(colors, 3)`.
        found: All colours of the picture, packed.
        counts: How often each is there.

    Returns:
        Array of integers of shape `(256 at most, 3)`.
    """
    given = np.rint(colors).astype(int)
    kept = list(given[np.isin(_packed(given), found)])
    every, weights = _unpacked(found), np.sqrt(counts)
    apart = np.full(len(found), np.inf)
    for color in kept:
        apart = np.minimum(apart, np.sum((every - color) ** 2, axis=-1))
    while len(kept) < _COLORS and apart.max() > 0:
        # What is shown worst so far, and often.
        kept.append(every[np.argmax(apart * weights)])
        apart = np.minimum(apart, np.sum((every - kept[-1]) ** 2, axis=-1))
    return np.array(kept).astype(int)


def _packed(colors):
    """Each colour as one number."""
    red, green, blue = np.moveaxis(np.asarray(colors, dtype=np.int32), -1, 0)
    return (red << 16) | (green << 8) | blue


def _unpacked(numbers):
    parts = [(numbers >> shift) & 255 for shift in (16, 8, 0)]
    return np.stack(parts, axis=-1).astype(float)


def _nearest(colors, palette):
    """Index of the nearest colour of a palette, for each of some colours."""
    nearest = []
    for part in np.array_split(colors, math.ceil(len(colors) / 4096)):
        apart = part[:, np.newaxis] - palette
        nearest.append(np.argmin(np.sum(apart**2, axis=-1), axis=1))
    return np.concatenate(nearest)

"""Frames of a figure, and the files that they go to."""

import math
import os

import numpy as np

from keras_growprune.files import new_aside

MOVING_PICTURES = (".gif", ".webp")
# So many colours draw text without visible steps.
_COLORS = 96
# Weights of a colour where its edge is smoothed, and how far palettes' colours
# are from each other at least.
_SHARES, _APART = (0.8, 0.6, 0.4, 0.2), 8


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
            exactly in a GIF; the first one is the background.
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

    some = images[:: math.ceil(len(images) / 6)] + [images[-1]]
    width, height = images[0].size
    sheet = Image.new("RGB", (width, height * len(some)))
    for index, image in enumerate(some):
        sheet.paste(image, (0, index * height))
    found = sheet.quantize(_COLORS, method=Image.Quantize.MEDIANCUT)
    found = np.array(found.getpalette()).reshape(-1, 3)
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette(colors, found).flatten().tolist())
    return [
        image.quantize(palette=palette, dither=Image.Dither.NONE)
        for image in images
    ]


def _palette(colors, found):
    """Given colours, their edges on the background, and what else was found.

    Pillow looks colours up by their upper bits, so those next to another one
    are left out: a white background would become one of its greys.
    """
    background = colors[0]
    edges = [
        background + share * (color - background)
        for share in _SHARES
        for color in colors[1:]
    ]
    kept = []
    for color in np.rint([*colors, *edges, *found]).astype(int):
        if all(np.max(np.abs(color - other)) >= _APART for other in kept):
            kept.append(color)
    return np.array(kept[:256])

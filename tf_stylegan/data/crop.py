"""Pictures of any shape -> squares (or their own shape) of the size asked for."""

import numpy as np
import PIL.Image

from tf_stylegan.data.resize import resize

METHODS = ("center", "smart", "none", "pad")
_SIDE = 64  # pixels, of the shorter side of the small picture in which the subject is looked for
_SUBJECT_HEIGHT = 0.35  # of a tall picture, from its top: heads are above the middle
_PULL = 0.1  # how much less a square at the far end counts than one at the expected place


def fit(image, size, crop="center", method="auto", background=(255, 255, 255)):
    """Crops and scales a picture.

    Args:
        image: Pillow image, L or RGB.
        size: height = width of the result; with crop "none" of its shorter side. None to keep the pixels as they are.
        crop: "center" cuts out the central square, "smart" the one with the subject (`find_subject`), "pad" adds bars
            of the background, "none" keeps the shape.
        method: see `resize.resize`.
        background: (R, G, B) of the bars.
    Returns:
        image: Pillow image of the same mode.
        notes: list of what was done, for counting.
    """
    notes = []
    if crop in ("center", "smart") and image.width != image.height:
        notes.append("cropped")
        image = image.crop(_square(image, find_subject(image) if crop == "smart" else 0.5))
    if size:
        edge = max(image.size) if crop == "pad" else min(image.size)
        scaled = tuple(max(1, round(side * size / edge)) for side in image.size)
        if scaled != image.size:
            notes.append("enlarged" if size > edge else "shrunk")
        image = resize(image, scaled, method)
    if crop == "pad" and image.width != image.height:
        notes.append("padded")
        side = max(image.size)
        grey = round(float(np.dot(background, (0.299, 0.587, 0.114))))
        canvas = PIL.Image.new(image.mode, (side, side), grey if image.mode == "L" else tuple(background))
        canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        image = canvas
    return image, notes


def _square(image, where):
    """(left, top, right, bottom) of the largest square, `where` 0 to 1 of the way that it can move."""
    side = min(image.size)
    left, top = (int((length - side) * where) for length in image.size)
    return left, top, left + side, top + side


def find_subject(image):
    """Where the largest square of a picture holds most of what the eye goes to.

    Counted is detail: steps of colour between neighbours in a small copy, by their square roots, so that a few hard
    edges do not outweigh a face. The square that gathers most is taken, with some preference for the middle (of tall
    pictures: for a little above it). No model and no chance: the same picture always gives the same square.

    Args:
        image: Pillow image, L or RGB, not square.
    Returns:
        0 (left or top) to 1 (right or bottom) of the way that the square can move.
    """
    wide = image.width > image.height
    expected = 0.5 if wide else _SUBJECT_HEIGHT
    length = max(_SIDE + 1, min(round(_SIDE * max(image.size) / min(image.size)), 64 * _SIDE))
    small = image.convert("RGB").resize((length, _SIDE) if wide else (_SIDE, length), PIL.Image.Resampling.BOX)
    x = np.asarray(small).astype(np.int32)  # HWC
    x = x if wide else x.swapaxes(0, 1)  # along axis 1 from here
    steps = np.zeros(x.shape[:2])
    steps[:, 1:] += np.abs(np.diff(x, axis=1)).sum(axis=2)
    steps[1:] += np.abs(np.diff(x, axis=0)).sum(axis=2)
    if not steps.any():
        return expected
    gathered = np.cumsum(np.append(0, np.sqrt(steps).sum(axis=0)))
    gathered = gathered[_SIDE:] - gathered[:-_SIDE]  # of the square that begins at each place
    place = np.linspace(0, 1, len(gathered))
    return float(place[np.argmax(gathered * (1 - _PULL * np.abs(place - expected)))])

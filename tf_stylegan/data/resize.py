"""Scaling pictures: means of blocks and of areas without rounding on the way, and Lanczos."""

import itertools

import numpy as np
import PIL.Image

FILTERS = ("auto", "box", "area", "lanczos")


def resize(image, size, method="auto"):
    """Scales a picture.

    Args:
        image: Pillow image, L or RGB.
        size: (width, height) to scale to.
        method: "box" takes the mean of the pixels whose centres fall into each new one, "area" the mean of the area
            that each new one covers, with shares of the pixels it cuts (enlarging: as box), "lanczos" Lanczos of
            three lobes; "auto" is box when shrinking by whole numbers, else Lanczos. By whole numbers box and area are
            the same, the exact mean: shrinking by 4 gives what the records two levels of detail down hold, which is
            how the published 256x256 FFHQ was made and what its FIDs were measured with.
    Returns:
        Pillow image of the same mode.
    """
    if image.size == tuple(size):
        return image
    (factor_x, rest_x), (factor_y, rest_y) = (divmod(image.size[axis], size[axis]) for axis in (0, 1))
    if method != "lanczos" and factor_x and factor_y and not rest_x and not rest_y:
        return PIL.Image.fromarray(block_mean(np.asarray(image), factor_y, factor_x))
    if method == "area" and factor_x and factor_y:
        return PIL.Image.fromarray(area_mean(np.asarray(image), *size))
    method = PIL.Image.Resampling.BOX if method in ("box", "area") else PIL.Image.Resampling.LANCZOS
    return image.resize(size, method)


def block_mean(pixels, factor_y, factor_x):
    """Means of blocks, rounded half to even as the records' levels of detail are.

    Args:
        pixels: uint8 `[H, W]` or `[H, W, C]`, H and W multiples of the factors.
        factor_y, factor_x: pixels of a block.
    Returns:
        uint8 `[H/factor_y, W/factor_x]`, or with C.
    """
    h, w, c = pixels.shape[0] // factor_y, pixels.shape[1] // factor_x, pixels.shape[2:]
    wide = np.uint16 if 255 * factor_y * factor_x < 1 << 16 else np.uint32
    rows = pixels.reshape(h, factor_y, -1)
    sums = rows[:, 0].astype(wide)
    for row in range(1, factor_y):  # whole lines at a time: ten times quicker than a sum over two axes
        sums += rows[:, row]
    columns = sums.reshape(h, w, factor_x, *c)
    sums = columns[:, :, 0].copy()
    for column in range(1, factor_x):
        sums += columns[:, :, column]
    return np.rint(sums / float(factor_y * factor_x)).astype(np.uint8)


def area_mean(pixels, width, height):
    """Means of the areas that the pixels of a smaller picture cover, in whole numbers up to the last division.

    Args:
        pixels: uint8 `[H, W]` or `[H, W, C]`, H >= height, W >= width.
    Returns:
        uint8 `[height, width]`, or with C.
    """
    sums = _area_sums(pixels, height)
    sums = _area_sums(sums.swapaxes(0, 1), width).swapaxes(0, 1)
    return np.rint(sums / float(pixels.shape[0] * pixels.shape[1])).astype(np.uint8)


def _area_sums(x, count):
    """Sums over `count` equal stretches of axis 0, times `count`, int64: a pixel that is cut counts by its share."""
    length = len(x)
    # Of a pixel in which one stretch ends and another begins, cut / count belongs to the first.
    starts, cut = np.divmod(np.arange(count + 1) * length, count)
    sums = np.stack([x[a:b].sum(axis=0, dtype=np.int64) for a, b in itertools.pairwise(starts)]) * count
    cut = cut.reshape(-1, *[1] * (x.ndim - 1))
    sums -= x[starts[:-1]] * cut[:-1]
    sums[:-1] += x[starts[1:-1]] * cut[1:-1]  # the last stretch ends where the picture does
    return sums

"""Dynamic range, uint8 conversion, grids and PNG files (F0: NumPy and Pillow)."""

import math

import numpy as np
import PIL.Image

from tf_stylegan.files import atomic_write


def to_uint8(images, rounding="truncate"):
    """Maps [-1, 1] to [0, 255].

    Args:
        images: float array, any shape.
        rounding: "truncate" is `x·127.5 + 128` cut off, as the original's network pictures (dnnlib/tflib/tfutil.py);
            "nearest" is `x·127.5 + 127.5` rounded, as the original's training grids.
    Returns:
        uint8 array of the same shape.
    """
    images = np.asarray(images, np.float32)
    if rounding == "truncate":
        return np.clip(images * 127.5 + 128.0, 0, 255).astype(np.uint8)
    return np.clip(np.rint(images * 127.5 + 127.5), 0, 255).astype(np.uint8)


def from_uint8(images):
    """Maps [0, 255] to [-1, 1]: uint8 array in, float32 array of the same shape out."""
    return np.asarray(images, np.float32) * np.float32(1 / 127.5) - np.float32(1)


def grid_size(count):
    """Columns and rows of a sheet for `count` pictures, about as wide as high."""
    columns = max(1, math.ceil(math.sqrt(count)))
    return columns, math.ceil(count / columns)


def make_grid(images, columns=None):
    """Lays pictures out row by row.

    Args:
        images: `[N, H, W, C]`, any dtype.
        columns: pictures in a row, None for a sheet about as wide as high.
    Returns:
        `[rows·H, columns·W, C]`; cells left over are zero.
    """
    images = np.asarray(images)
    n, h, w, c = images.shape
    columns = columns or grid_size(n)[0]
    rows = math.ceil(n / columns)
    cells = np.zeros([rows * columns, h, w, c], images.dtype)
    cells[:n] = images
    return cells.reshape(rows, columns, h, w, c).transpose(0, 2, 1, 3, 4).reshape(rows * h, columns * w, c)


def to_pillow(picture):
    """A Pillow image of a uint8 picture `[H, W, C]`: C = 1 grey, 3 RGB, 4 RGBA."""
    return PIL.Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


def save_png(path, image):
    """Writes one uint8 picture `[H, W, C]` (C = 1 grey, 3 RGB, 4 RGBA) as PNG, atomically."""
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise ValueError(f"save_png takes uint8 [H, W, 1|3|4], got {image.dtype} {list(image.shape)}; see to_uint8")
    with atomic_write(path) as file:
        to_pillow(image).save(file, "PNG")

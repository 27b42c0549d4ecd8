"""Picture files in several formats, and sheets of pictures (F5; NumPy and Pillow)."""

import os

import numpy as np

from tf_stylegan.errors import UserError
from tf_stylegan.files import atomic_write
from tf_stylegan.images import to_pillow

# Pillow's name and settings, and the longest side.
FORMATS = {
    "png": ("PNG", {}, 2**31 - 1),
    "jpg": ("JPEG", {"quality": 95, "subsampling": 0}, 65535),
    "webp": ("WEBP", {"quality": 95}, 16383),
}


def save_picture(path, picture):
    """Writes one uint8 picture `[H, W, C]` (C = 1 grey, 3 RGB, 4 RGBA) in the format of its ending, atomically."""
    name, settings, _ = FORMATS[os.path.splitext(path)[1][1:]]
    with atomic_write(path) as file:
        to_pillow(picture).save(file, name, **settings)


def check_picture(columns, rows, shape, form):
    """UserError for a sheet, or a picture, that cannot be written.

    Args:
        columns, rows: of the sheet.
        shape: (H, W, C) of its pictures.
        form: one of FORMATS.
    """
    height, width, channels = rows * shape[0], columns * shape[1], shape[2]
    name, _, longest = FORMATS[form]
    if channels not in (1, 3, 4) or (channels == 4 and name == "JPEG"):
        raise UserError(f"--format={form} cannot hold pictures of {channels} channels")
    if max(height, width) > longest:
        size = f"{columns} x {rows} pictures make {width} x {height} pixels"
        raise UserError(f"{size}, and --format={form} goes up to {longest} a side")
    check_memory(height * width * channels, f"a sheet of {columns} x {rows} pictures")


def check_memory(size, what):
    """UserError where so many bytes are more than half of the machine's memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory / 2:
        needs = f"{what} would need {size / 2**30:.1f} GiB of memory"
        raise UserError(f"{needs}, and this machine has {memory / 2**30:.1f}; make it smaller")


class Sheet:
    """A sheet that is filled cell by cell, row by row or anywhere.

    Args:
        columns, rows: of cells.
        shape: (H, W, C) of a cell; empty ones are black.
    """

    def __init__(self, columns, rows, shape):
        height, width, channels = shape
        self.pixels = np.zeros([rows * height, columns * width, channels], np.uint8)
        self._columns, self._shape = columns, shape

    def put(self, cell, picture):
        """Puts a picture into a cell, counted row by row."""
        (row, column), (height, width, _) = divmod(cell, self._columns), self._shape
        self.pixels[row * height : (row + 1) * height, column * width : (column + 1) * width] = picture

"""Sheets of small pictures with captions (F5; NumPy and Pillow)."""

import math

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

LEAST_SIDE, LONGEST_SIDE = 96, 256  # of a picture: a sheet is for choosing, not for looking closely
_PAPER, _INK = 255, 32


class ContactSheet:
    """Rows of pictures under captions, made smaller where they are large, and larger, in squares, where they are small.

    Args:
        row_captions, column_captions: lists of text.
        shape: (H, W, C) of the pictures.
        group: how many rows belong together; there is some space between groups.
    Attributes:
        shape: (H, W, C) of the sheet.
    """

    def __init__(self, row_captions, column_captions, shape, group=1):
        height, width, channels = shape
        self._factor = math.ceil(max(height, width) / LONGEST_SIDE)
        self._times = math.ceil(LEAST_SIDE / max(height, width))
        self._height = math.ceil(height / self._factor) * self._times
        self._width = math.ceil(width / self._factor) * self._times
        self._font = PIL.ImageFont.load_default(min(max(self._height // 8, 10), 24))
        self._line = math.ceil(sum(self._font.getmetrics()) * 1.25)
        self._left = math.ceil(max(map(self._font.getlength, row_captions))) + self._line
        gap = self._line // 2 if group > 1 else 0
        self._tops = [self._line + row * self._height + row // group * gap for row in range(len(row_captions))]
        self._captions = row_captions, column_captions
        self.shape = self._tops[-1] + self._height, self._left + len(column_captions) * self._width, channels

    def filled(self, rows):
        """The sheet, uint8 `[H, W, C]`, with rows of uint8 `[columns, H, W, C]`, which are read one by one."""
        paper = PIL.Image.new("L", self.shape[1::-1], _PAPER)
        pen = PIL.ImageDraw.Draw(paper)
        row_captions, column_captions = self._captions
        for column, text in enumerate(column_captions):
            pen.text((self._left + (column + 0.5) * self._width, self._line / 2), text, _INK, self._font, anchor="mm")
        for top, text in zip(self._tops, row_captions):
            pen.text((self._left - self._line / 2, top + self._height / 2), text, _INK, self._font, anchor="rm")
        pixels = np.repeat(np.asarray(paper)[:, :, None], self.shape[2], axis=2)
        if self.shape[2] == 4:
            pixels[:, :, 3] = 255
        for top, pictures in zip(self._tops, rows):
            for column, picture in enumerate(pictures):
                left = self._left + column * self._width
                cell = _reduced(picture, self._factor).repeat(self._times, 0).repeat(self._times, 1)
                pixels[top : top + self._height, left : left + self._width] = cell
        return pixels


def _reduced(picture, factor):
    """A picture `[H, W, C]` made smaller by a whole factor, the mean of each block."""
    if factor == 1:
        return picture
    planes = [np.asarray(PIL.Image.fromarray(plane).reduce(factor)) for plane in np.moveaxis(picture, 2, 0)]
    return np.stack(planes, axis=2)

"""Dynamic range, grids, PNG files."""

import os

import numpy as np
import PIL.Image
import pytest

from tf_stylegan import images


def test_to_uint8_cuts_off():
    """`x · 127.5 + 128`, cut off at the point: the bytes of the original's network pictures."""
    x = np.array([-2, -1.004, -1, -0.5, -1 / 255, 0, 0.5, 0.999, 1, 1.5], np.float32)
    assert images.to_uint8(x).tolist() == [0, 0, 0, 64, 127, 128, 191, 255, 255, 255]
    assert images.to_uint8(x).dtype == np.uint8


def test_to_uint8_rounds():
    """`x · 127.5 + 127.5` rounded: the bytes of the original's training grids."""
    x = np.array([-2, -1, -0.5, 0, 0.002, 0.5, 0.999, 1, 1.5], np.float32)
    assert images.to_uint8(x, "nearest").tolist() == [0, 0, 64, 128, 128, 191, 255, 255, 255]


@pytest.mark.parametrize("rounding", ["truncate", "nearest"])
def test_every_byte_survives(rounding):
    every = np.arange(256, dtype=np.uint8).reshape(2, 8, 16)
    x = images.from_uint8(every)
    assert x.dtype == np.float32
    assert x.min() == -1
    assert x.max() == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(images.to_uint8(x, rounding), every)


@pytest.mark.parametrize("count, size", [(1, (1, 1)), (2, (2, 1)), (4, (2, 2)), (5, (3, 2)), (9, (3, 3)), (10, (4, 3))])
def test_grid_size(count, size):
    assert images.grid_size(count) == size


@pytest.mark.parametrize("columns, shape", [(None, (3, 2)), (1, (1, 5)), (2, (2, 3)), (5, (5, 1)), (7, (7, 1))])
def test_make_grid(columns, shape):
    """Row by row, pictures upright, what is left over black."""
    pictures = np.random.RandomState(0).randint(1, 256, [5, 3, 4, 2]).astype(np.uint8)
    grid = images.make_grid(pictures, columns)
    width, height = shape
    assert grid.shape == (height * 3, width * 4, 2)
    assert grid.dtype == np.uint8
    for i in range(width * height):
        row, column = divmod(i, width)
        cell = grid[row * 3 : row * 3 + 3, column * 4 : column * 4 + 4]
        np.testing.assert_array_equal(cell, pictures[i] if i < 5 else np.zeros([3, 4, 2]))


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_png_keeps_every_byte(tmp_path, channels, mode):
    picture = np.random.RandomState(0).randint(0, 256, [5, 7, channels]).astype(np.uint8)
    images.save_png(tmp_path / "a.png", picture)
    with PIL.Image.open(tmp_path / "a.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", mode, (7, 5))
        np.testing.assert_array_equal(np.asarray(image).reshape(picture.shape), picture)
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    "picture, message",
    [
        (np.zeros([4, 4, 3], np.float32), r"takes uint8 \[H, W, 1\|3\|4\], got float32 \[4, 4, 3\]"),
        (np.zeros([4, 4], np.uint8), r"got uint8 \[4, 4\]"),
        (np.zeros([4, 4, 2], np.uint8), r"got uint8 \[4, 4, 2\]"),
    ],
)
def test_png_of_something_else(tmp_path, picture, message):
    with pytest.raises(ValueError, match=message):
        images.save_png(tmp_path / "a.png", picture)
    assert os.listdir(tmp_path) == []

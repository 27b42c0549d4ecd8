"""Sheets with captions: pictures are where they belong, captions are there."""

import numpy as np
import pytest

from tf_stylegan.pictures.contact_sheet import ContactSheet


def larger(picture, times):
    return picture.repeat(times, -3).repeat(times, -2)


def sheet_of(rows, columns, shape, captions=None, group=1, seed=0):
    data = np.random.RandomState(seed).randint(0, 256, [rows, columns, *shape], np.uint8)
    names = captions or [f"{row}: seed {row}" for row in range(rows)]
    sheet = ContactSheet(names, [f"{column:+d}" for column in range(columns)], shape, group)
    pixels = sheet.filled(iter(data))
    assert pixels.shape == sheet.shape
    return data, pixels


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_are_where_they_belong(channels):
    data, sheet = sheet_of(3, 4, (32, 16, channels))
    assert sheet.dtype == np.uint8
    top, left = sheet.shape[0] - 3 * 96, sheet.shape[1] - 4 * 48  # three times as large
    assert sheet.shape[2] == channels
    for row in range(3):
        for column in range(4):
            cell = sheet[top + row * 96 : top + row * 96 + 96, left + column * 48 : left + column * 48 + 48]
            np.testing.assert_array_equal(cell, larger(data[row, column], 3))
    for margin in (sheet[:top, left:], sheet[top:, :left]):
        assert margin[..., 0].max() == 255
        assert margin[..., 0].min() < 128, "there is something written"
    if channels == 4:
        assert (sheet[:top, ..., 3] == 255).all()


def test_captions_differ_and_long_ones_have_room():
    captions = ["0: seed 1", "0: a photograph with a long name"]
    _, long = sheet_of(2, 2, (32, 32, 3), captions)
    _, short = sheet_of(2, 2, (32, 32, 3), ["0", "1"])
    assert long.shape[1] > short.shape[1] + 100
    left = long.shape[1] - 192
    assert (long[-96:, :5] == 255).all(), "nothing is cut off"
    assert (long[-96:, :left] != long[-192:-96, :left]).any()


def test_space_between_groups():
    data, close = sheet_of(4, 2, (32, 32, 1), ["a"] * 4)
    _, apart = sheet_of(4, 2, (32, 32, 1), ["a"] * 4, group=2)
    gap = apart.shape[0] - close.shape[0]
    assert 0 < gap < 20
    np.testing.assert_array_equal(apart[-96:, -96:], larger(data[3, 1], 3))
    np.testing.assert_array_equal(apart[-288 - gap : -192 - gap, -96:], larger(data[1, 1], 3))
    assert (apart[-192 - gap : -192, -192:] == 255).all()


@pytest.mark.parametrize("side, shown", [(4, 96), (64, 128), (95, 190), (96, 96), (128, 128)])
def test_small_pictures_are_enlarged_in_squares(side, shown):
    data, sheet = sheet_of(1, 2, (side, side, 3))
    np.testing.assert_array_equal(sheet[-shown:, -shown:], larger(data[0, 1], shown // side))
    assert sheet.shape[0] - shown < 60


def test_large_pictures_are_made_smaller():
    data, sheet = sheet_of(1, 2, (512, 1024, 3))
    small = data[0, 1].reshape(128, 4, 256, 4, 3).mean(axis=(1, 3))
    assert np.abs(sheet[-128:, -256:] - small).max() <= 1

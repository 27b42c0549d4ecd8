"""Scaling: means against plain NumPy, and against the levels of detail of the records."""

import numpy as np
import PIL.Image
import pytest
from data.picture_zoo import photo
from hypothesis import given
from hypothesis import strategies as st

from tf_stylegan.data import resize
from tf_stylegan.data.levels import make_levels

NOISE = np.random.RandomState(0).randint(0, 256, [64, 64, 3]).astype(np.uint8)


@pytest.mark.parametrize("method", ["auto", "box", "area"])
def test_by_whole_numbers_it_is_the_level_of_detail_of_the_records(method):
    levels = list(make_levels(NOISE.transpose(2, 0, 1)))
    for level in levels[1:]:
        scaled = resize.resize(PIL.Image.fromarray(NOISE), (level.shape[1], level.shape[1]), method)
        np.testing.assert_array_equal(np.asarray(scaled).transpose(2, 0, 1), level)


@pytest.mark.parametrize("factor_y, factor_x, channels", [(3, 3, 3), (6, 2, 1), (1, 5, 3), (20, 20, 3)])
def test_block_mean_is_the_mean(factor_y, factor_x, channels):
    shape = [4 * factor_y, 7 * factor_x, channels][: 2 if channels == 1 else 3]
    pixels = np.random.RandomState(1).randint(0, 256, shape).astype(np.uint8)
    blocks = pixels.reshape(4, factor_y, 7, factor_x, channels).astype(np.float64)
    expected = np.rint(blocks.mean(axis=(1, 3)))  # half to even
    np.testing.assert_array_equal(resize.block_mean(pixels, factor_y, factor_x).reshape(expected.shape), expected)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.sampled_from([[], [3]]))
def test_area_mean_is_the_mean_of_what_is_covered(height, width, more_y, more_x, channels):
    pixels = np.random.RandomState(2).randint(0, 256, [height + more_y, width + more_x, *channels]).astype(np.uint8)
    fine = pixels.repeat(height, axis=0).repeat(width, axis=1)  # each new pixel covers whole ones of these
    expected = resize.block_mean(fine, len(pixels), pixels.shape[1])
    np.testing.assert_array_equal(resize.area_mean(pixels, width, height), expected)


@pytest.mark.parametrize("size", [(32, 32), (48, 20), (64, 64), (100, 70)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("method", resize.FILTERS)
def test_sizes_and_modes(size, mode, method):
    image = PIL.Image.fromarray(NOISE).convert(mode)
    scaled = resize.resize(image, size, method)
    assert (scaled.size, scaled.mode) == (size, mode)
    if method == "lanczos" or (method == "auto" and size == (48, 20)):
        np.testing.assert_array_equal(scaled, image.resize(size, PIL.Image.Resampling.LANCZOS))


def test_filters_differ_where_they_should():
    image = photo((64, 64))
    box, area, lanczos = (
        np.asarray(resize.resize(image, (40, 40), method), int) for method in ("box", "area", "lanczos")
    )
    assert np.abs(box - area).max() > 0 and np.abs(area - lanczos).max() > 0
    assert abs(area.mean() - np.asarray(image).mean()) < 0.1  # nothing is counted twice or left out

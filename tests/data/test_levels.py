"""Levels of detail against means in floating point, down to one pixel."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tf_stylegan.data.levels import log2_resolution, make_levels


@given(st.integers(0, 6), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_levels_are_rounded_means(log2, min_log2, seed):
    images = np.random.RandomState(seed).randint(0, 256, [2, 3, 1 << log2, 1 << log2]).astype(np.uint8)
    levels = list(make_levels(images, min_log2))
    assert [level.shape[-1] for level in levels] == [1 << n for n in range(log2, min(log2, min_log2) - 1, -1)]
    mean = images.astype(np.float64)
    for level in levels:
        assert level.dtype == np.uint8 and level.flags.c_contiguous
        np.testing.assert_array_equal(level, np.rint(mean))
        if level.shape[-1] > 1:
            half = level.shape[-1] // 2
            mean = mean.reshape(2, 3, half, 2, half, 2).mean(axis=(3, 5))


def test_the_largest_sums_do_not_overflow():
    white = np.full([1, 8192, 8192], 255, np.uint8)  # 2^26 pixels: their sum needs 34 bits
    white[:, :5000] = 254
    *_, last = make_levels(white, min_log2=0)
    assert last.tolist() == [[[round(255 - 5000 / 8192)]]]


def test_log2_resolution():
    sizes = {4: 2, 8: 3, 1024: 10, 8192: 13}
    assert {size: log2_resolution(size) for size in (*sizes, 0, 2, 5, 16384)} == sizes | dict.fromkeys((0, 2, 5, 16384))

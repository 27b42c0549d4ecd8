"""The levels of detail of an image: every smaller power of two, as the record files hold them (NumPy only)."""

import numpy as np

MIN_LOG2 = 2  # 4x4 is the smallest file
MAX_LOG2 = 13


def log2_resolution(resolution):
    """log2 of a resolution that the files can hold, e.g. 64 -> 6; None for any other number."""
    log2 = int(resolution).bit_length() - 1
    return log2 if MIN_LOG2 <= log2 <= MAX_LOG2 and resolution == 1 << log2 else None


def make_levels(images, min_log2=MIN_LOG2):
    """Generates an image, or many at once, at its own resolution, then at each half of it.

    Lower resolutions are 2x2 box means carried forward, rounded (half to even) only for giving out, so that errors do
    not add up. The original carries them in float32, where they are exact for eight levels; sums of integers are the
    same and quicker.

    Args:
        images: uint8 `[..., R, R]`, R a power of two up to 8192.
        min_log2: log2 of the last resolution.
    Yields:
        uint8 `[..., R, R]`, `[..., R/2, R/2]`, … `[..., 2^min_log2, 2^min_log2]`, C-contiguous.
    """
    images = np.ascontiguousarray(images)
    yield images
    sums, bits = images, 0  # each the sum of 2^bits pixels
    while sums.shape[-1] > 1 << min_log2:
        bits += 2
        wide = np.uint16 if bits <= 8 else np.uint32 if bits <= 24 else np.uint64
        rows = np.add(sums[..., 0::2, :], sums[..., 1::2, :], dtype=wide)
        sums = rows[..., 0::2] + rows[..., 1::2]
        half_to_even = (1 << (bits - 1)) - 1 + ((sums >> bits) & 1)
        yield ((sums + half_to_even) >> bits).astype(np.uint8)

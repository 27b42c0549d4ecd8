"""What many tests share: recorded data, the one meaning of "close", and the way between channel orders."""

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden"


def golden(name):
    """Reads `tests/golden/<name>.npz`, for example `golden("ops/upfirdn_2d")`.

    Returns:
        dict from name to array. Strings are arrays of no dimension: `json.loads(str(data["kwargs"]))`.
    """
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def relative_error(actual, expected):
    """The largest absolute difference over an array, divided by the largest magnitude of `expected`.

    Infinite when one of the arrays holds a NaN or an infinity that the other has not at the same place. Where
    `expected` is all zeros the difference itself is returned.
    """
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    finite = np.isfinite(expected)
    if not np.array_equal(np.where(finite, 0, expected), np.where(np.isfinite(actual), 0, actual), equal_nan=True):
        return np.inf
    if not finite.any():
        return 0.0
    difference = np.abs(actual[finite] - expected[finite]).max()
    return float(difference / (np.abs(expected[finite]).max() or 1.0))


def assert_close(actual, expected, tolerance=1e-5, what=""):
    """Fails unless the shapes are equal and `relative_error(actual, expected) <= tolerance`.

    Args:
        actual: array, tensor or variable.
        expected: the same, usually recorded; the error is measured against its largest magnitude.
        tolerance: see `relative_error`; 0 demands equal values.
        what: words to begin the message with, for tests that loop over cases.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    error = relative_error(actual, expected)
    assert error <= tolerance, f"{what}: relative error {error:.3g} above {tolerance:g}"


def nchw_to_nhwc(x):
    """`[N, C, H, W]` (files, recorded data) to `[N, H, W, C]` (inside), any framework's array in, NumPy out."""
    return np.transpose(np.asarray(x), [0, 2, 3, 1])


def nhwc_to_nchw(x):
    """`[N, H, W, C]` (inside) to `[N, C, H, W]` (files, recorded data), any framework's array in, NumPy out."""
    return np.transpose(np.asarray(x), [0, 3, 1, 2])

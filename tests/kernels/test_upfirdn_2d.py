"""upfirdn_2d's kernels against the definition: instruction sets, types, layouts, threads, huge and wrong sizes."""

import ctypes
import mmap

import kernel_helpers
import numpy as np
import pytest
from helpers import assert_close

from tf_stylegan.ops.native import ISAS, Upfirdn2d, pool

SQUARE = np.outer([1, 3, 3, 1], [1, 2, 4, 1]).astype(np.float32) / 16  # a product; no two taps of the row are the same
SETS = ["base", "avx2", "avx512"]


@pytest.fixture(params=SETS)
def isa(request, kernels):
    if ISAS[request.param] > ISAS[kernels.best_isa()]:
        pytest.skip(f"this machine has no {request.param}")
    return request.param


@pytest.mark.parametrize("dtype", kernel_helpers.TOLERANCES)
def test_values(kernels, isa, dtype):
    rnd = np.random.RandomState(7)
    for n in range(60):
        x, case = kernel_helpers.random_case(
            rnd, [1, 2, 3, 4, 5, 8, 12, 16, 17, 20, 32, 64, 72, 100], taps=32 if n % 20 == 0 else 6
        )
        x = kernel_helpers.stored(x, dtype)
        expected = kernel_helpers.upfirdn_2d(kernel_helpers.value(x, dtype), **case)
        for stream in (1, 2):  # through the caches and past them
            y = kernels.upfirdn_2d(x, **case, dtype=dtype, isa=isa, stream=stream)
            assert_close(
                kernel_helpers.value(y, dtype), expected, kernel_helpers.TOLERANCES[dtype], f"{x.shape} {case}"
            )


# (up, down, taps along y and x): what pictures meet in networks, then longer filters and odd factors.
FEW = [
    ((1, 1), (1, 1), (4, 4)),
    ((2, 2), (1, 1), (4, 4)),
    ((1, 1), (2, 2), (4, 4)),
    ((1, 1), (1, 1), (2, 3)),
    ((1, 2), (1, 1), (1, 12)),
    ((1, 1), (1, 2), (1, 12)),
    ((2, 2), (1, 1), (3, 3)),
    ((2, 3), (3, 2), (3, 5)),
    ((1, 2), (1, 2), (2, 5)),
    ((1, 2), (1, 3), (2, 8)),
    ((1, 1), (2, 15), (2, 3)),
    ((1, 1), (2, 40), (2, 3)),
]


@pytest.mark.parametrize("dtype", kernel_helpers.TOLERANCES)
@pytest.mark.parametrize("c", [1, 2, 3, 5, 7, 15])
def test_few_channels(kernels, isa, c, dtype):
    """Vectors that begin within pixels: odd widths, several rounds, paddings, results that begin anywhere."""
    rnd = np.random.RandomState(c)
    for n, (up, down, taps) in enumerate(FEW):
        k = np.outer(rnd.randn(taps[0]), rnd.randn(taps[1])).astype(np.float32)
        for width in (1, 16, 61, 9000 // c + 1):
            pad = tuple((int(before), int(size + 1 - before)) for size, before in zip(taps, rnd.randint(-1, 5, 2)))
            if width + min(pad[1][0], 0) + min(pad[1][1], 0) < 1:
                pad = (pad[0], (taps[1], taps[1]))
            x = kernel_helpers.stored(rnd.randn(1, 5, width, c), dtype)
            expected = kernel_helpers.upfirdn_2d(kernel_helpers.value(x, dtype), k, up, down, pad)
            for offset, stream in ((0, 2), (0, 1), (1 + n, 2)):
                memory = np.full(expected.size + 192, 77, x.dtype)
                start = 64 + -memory.ctypes.data % 64 // x.itemsize + offset
                y = memory[start : start + expected.size].reshape(expected.shape)
                kernels.upfirdn_2d(x, k, up, down, pad, dtype=dtype, isa=isa, stream=stream, out=y)
                what = f"{x.shape} {up} {down} {taps} {pad} {offset}"
                assert_close(kernel_helpers.value(y, dtype), expected, kernel_helpers.TOLERANCES[dtype], what)
                assert (memory[:start] == 77).all() and (memory[start + expected.size :] == 77).all(), what


@pytest.mark.parametrize("c", [3, 16, 20, 128])
def test_wide_rows_and_threads(kernels, c):
    """Rows that need several rounds, cut into pieces by any number of threads, come out the same."""
    x = np.random.RandomState(c).randn(2, 9, 700 if c < 100 else 150, c).astype(np.float32)
    for factors in ({}, {"up": (2, 2)}, {"down": (2, 2)}, {"up": (2, 1), "down": (1, 3)}):
        case = {"k": SQUARE, "pad": ((2, 1), (2, 1)), **factors}
        y = kernels.upfirdn_2d(x, **case)
        expected = kernel_helpers.upfirdn_2d(
            np.float64(x), SQUARE, *[factors.get(n, (1, 1)) for n in ("up", "down")], case["pad"]
        )
        assert_close(y, expected, 2e-6)
        for threads in (2, 5):
            np.testing.assert_array_equal(kernels.upfirdn_2d(x, **case, threads=pool(threads)), y)


@pytest.mark.parametrize("dtype", kernel_helpers.TOLERANCES)
@pytest.mark.parametrize("c", [3, 8, 32])
def test_epilogue(kernels, isa, c, dtype):
    rnd = np.random.RandomState(c)
    for n, alpha in enumerate((1.0, 0.0, 0.2)):
        h, w, maps = 4 + n, 7 - n, 1 + n % 2
        x = kernel_helpers.stored(rnd.randn(2, h, w, c), dtype)
        scale, b, noise = (
            kernel_helpers.parameter(array, dtype)
            for array in (rnd.rand(2, c), rnd.randn(c), rnd.randn(maps, h - 1, w - 1, 1))
        )
        rest = {"alpha": alpha, "gain": 1.5, "clamp": 0.75, "scale": scale, "b": b, "noise": noise}
        filtered = kernel_helpers.upfirdn_2d(kernel_helpers.value(x, dtype), SQUARE, (1, 1), (1, 1), ((1, 1), (1, 1)))
        z = filtered * scale[:, None, None] + b + noise * 0.5
        expected = np.clip(np.where(z > 0, z, z * alpha) * 1.5, -0.75, 0.75)
        strength = kernel_helpers.parameter([0.5], dtype)
        y = kernels.upfirdn_2d(x, SQUARE, pad=((1, 1), (1, 1)), dtype=dtype, isa=isa, strength=strength, **rest)
        assert_close(kernel_helpers.value(y, dtype), expected, kernel_helpers.TOLERANCES[dtype])


@pytest.mark.parametrize("factors", [{}, {"down": (2, 2)}, {"down": (3, 1)}, {"up": (2, 2)}], ids=str)
@pytest.mark.parametrize("c", [1, 3, 16, 20])
def test_infinity_stays_where_it_belongs(kernels, isa, factors, c):
    """Results that do not see an infinite number know nothing of it, however rows are dealt to threads."""
    k = np.outer([1, 3, 3, 1], [1, 2, 4, 1]).astype(np.float32) / 16
    up, down = (factors.get(name, (1, 1)) for name in ("up", "down"))
    for row in range(12):
        x = np.ones([1, 12, 10, c], np.float32)
        x[0, row, 4] = np.inf
        case = {"k": k, "pad": ((2, 1), (2, 1)), "up": up, "down": down}
        seen = kernel_helpers.upfirdn_2d(np.float64(np.isinf(x)), **case) > 0
        for threads in (None, pool(2), pool(3), pool(5)):
            y = kernels.upfirdn_2d(x, **case, isa=isa, threads=threads)
            np.testing.assert_array_equal(np.isfinite(y), ~seen)
            assert not np.isnan(y).any()


@pytest.mark.parametrize("c", [3, 16, 20])
def test_relu_of_infinity(kernels, isa, c):
    x = np.zeros([1, 3, 6, c], np.float32)
    x[0, :] = np.array([-np.inf, -1, np.nan, 0, 1, np.inf])[:, None]
    y = kernels.upfirdn_2d(x, np.ones([1, 1]), isa=isa, alpha=0)
    np.testing.assert_array_equal(y, np.where(x < 0, 0, x))


@pytest.mark.parametrize("shape", [(0, 3, 3, 2), (2, 3, 3, 0), (2, 0, 3, 2)])
def test_empty(kernels, shape):
    y = kernels.upfirdn_2d(np.ones(shape, np.float32), np.ones([2, 2]), pad=((1, 1), (1, 0)))
    assert y.shape == (shape[0], shape[1] + 1, shape[2], shape[3])
    assert not y.any()


def virtual(size):
    """Bytes of memory that take no room before they are touched, or a skip."""
    try:
        memory = mmap.mmap(
            -1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
        )
    except OSError as error:
        pytest.skip(f"no room for {size} bytes: {error}")
    return np.frombuffer(memory, np.float16)


def test_more_than_two_to_the_31_elements(kernels):
    """Only the last rows of the image are looked at: they lie where 32 bits do not reach."""
    h, w = 1 << 18, 9001
    x = virtual(2 * h * w)[: h * w].reshape(1, h, w, 1)
    assert x.size > 1 << 31
    x[0, -3:] = np.arange(3 * w).reshape(3, w, 1) % 61
    y = kernels.upfirdn_2d(x, np.ones([2, 1], np.float32), pad=((3 - h, 0), (0, 0)))
    assert_close(y[0, :, :, 0], np.float32(x[0, -3:-1, :, 0]) + x[0, -2:, :, 0], 1e-3)


def call(kernels, **fields):
    """Calls the kernel with a small legal structure, some fields changed; raises ValueError."""
    x, k = np.zeros([1, 4, 4, 2], np.float32), np.ones([2, 2], np.float32)
    params = Upfirdn2d(
        n=1, in_h=4, in_w=4, c=2, out_h=3, out_w=3, up_y=1, up_x=1, down_y=1, down_x=1, kh=2, kw=2,
        k=k.ctypes.data, x=x.ctypes.data, y=x.ctypes.data,
    )  # fmt: skip
    for name, number in fields.items():
        setattr(params, name, number)
    code = kernels.lib.tf_stylegan_upfirdn_2d_cpu(ctypes.byref(params), None)
    if code:
        raise ValueError(kernels.lib.tf_stylegan_error(code).decode())


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"kh": 33}, "out of range"),
        ({"kw": 0}, "out of range"),
        ({"up_x": 0}, "out of range"),
        ({"n": -1}, "out of range"),
        ({"dtype": 4}, "out of range"),
        ({"k": None}, "out of range"),
        ({"x": None}, "out of range"),
        ({"y": None}, "out of range"),
        ({"pad_y": 1 << 41}, "out of range"),
        ({"n": 1 << 40, "c": 1 << 40}, "more elements than can be counted"),
        ({"out_h": 1 << 32, "out_w": 1 << 30}, "more elements than can be counted"),
        ({"isa": 9}, "lacks the instruction set"),
    ],
)
def test_mistakes(kernels, fields, message):
    call(kernels)
    with pytest.raises(ValueError, match=message):
        call(kernels, **fields)

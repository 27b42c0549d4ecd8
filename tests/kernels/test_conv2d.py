"""The compiled convolutions against NumPy in float64, without TensorFlow."""

import numpy as np
import pytest

from tf_stylegan.ops import native, native_conv

# What is tested: instruction set, what multiplies, storage, and the error that comes with them, relative to what the
# absolute values of all products would add up to.
UNITS = [
    ("base", "fma", "float32", 1e-6),
    ("avx2", "fma", "float32", 1e-6),
    ("avx512", "fma", "float32", 1e-6),
    ("avx512", "amx", "float32", 1e-6),
    ("base", "fma", "bfloat16", 1e-2),
    ("avx512", "amx", "bfloat16", 1e-2),
    ("avx512", "dot", "bfloat16", 1e-2),
]
IDS = ["-".join(unit[:3]) for unit in UNITS]


@pytest.fixture(scope="module")
def library(kernels):
    return native_conv.declare(kernels.lib)


@pytest.fixture(params=UNITS, ids=IDS)
def unit(request, library):
    isa, what, dtype, tolerance = request.param
    extra, one = {"isa": isa, "unit": what}, np.zeros([1, 1, 1, 1], np.float32)
    try:
        native_conv.conv2d(library, stored(one, dtype), one, **extra)
    except ValueError as error:
        if "lacks the instruction set" not in str(error):
            raise
        pytest.skip(str(error))
    return extra, dtype, tolerance


@pytest.fixture(scope="module", params=[None, 2], ids=["here", "threads"])
def threads(request):
    return request.param and native.pool(request.param)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def to_bfloat16(x):
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat16(x):
    return (x.astype(np.uint32) << 16).view(np.float32)


def stored(x, dtype):
    """An array of float32 as the kernels take it."""
    return to_bfloat16(x) if dtype == "bfloat16" else x


def value(x):
    """An array of the kernels' in float32."""
    return from_bfloat16(x) if x.dtype == np.uint16 else x


def spread(x, up, down, pad, taps, size):
    """u of conv2d.h, cut so that tap (ty, tx) meets `[:, ty:, tx:][:, ::down, ::down]`."""
    n, h, w, c = x.shape
    margin = max(pad) + 1
    room = [max(margin + s * up, margin - pad[i] + size[i] * down + taps[i]) for i, s in enumerate((h, w))]
    u = np.zeros([n, *room, c])
    u[:, margin : margin + h * up : up, margin : margin + w * up : up] = x
    return u[:, margin - pad[0] :, margin - pad[1] :]


def plain_size(x, taps, up, down, pad):
    return [(x.shape[i + 1] * up - up + 1 + 2 * pad[i] - taps[i]) // down + 1 for i in (0, 1)]


def reference(x, w, up=1, down=1, pad=(0, 0), size=None, turned=False, swapped=False, in_scale=None, fir=None,
              fir_pad=((0, 0), (0, 0)), out_scale=None, b=None, noise=None, strength=1.0, act="linear", gain=1.0,
              clamp=-1.0):  # fmt: skip
    x, w = np.asarray(x, np.float64), np.asarray(w, np.float64)
    w = w[::-1, ::-1] if turned else w
    w = w.transpose(0, 1, 3, 2) if swapped else w
    x = x if in_scale is None else x * in_scale[:, None, None]
    size = size or plain_size(x, w.shape, up, down, pad)
    u = spread(x, up, down, pad, w.shape, size)
    cut = lambda ty, tx: u[:, ty:, tx:][:, : size[0] * down : down, : size[1] * down : down]  # noqa: E731
    y = sum(cut(ty, tx) @ w[ty, tx] for ty in range(w.shape[0]) for tx in range(w.shape[1]))
    if fir is not None:
        y, k = np.pad(y, [(0, 0), *fir_pad, (0, 0)]), np.asarray(fir, np.float64)[::-1, ::-1]
        h, width = y.shape[1] - k.shape[0] + 1, y.shape[2] - k.shape[1] + 1
        y = sum(k[i, j] * y[:, i : i + h, j : j + width] for i in range(k.shape[0]) for j in range(k.shape[1]))
    y = y if out_scale is None else y * out_scale[:, None, None]
    y = y if b is None else y + b
    y = y if noise is None else y + (noise * strength)[..., None]
    y = np.where(y > 0, y, y * {"linear": 1, "relu": 0, "lrelu": 0.2}[act]) * gain
    return np.clip(y, -clamp, clamp) if clamp >= 0 else y


def reference_gradient(
    x, dy, taps, up=1, down=1, pad=(0, 0), turned=False, swapped=False, in_scale=None, out_scale=None
):
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    x = x if in_scale is None else x * in_scale[:, None, None]
    dy = dy if out_scale is None else dy * out_scale[:, None, None]
    h, w = dy.shape[1:3]
    u = spread(x, up, down, pad, taps, (h, w))
    dw = np.zeros([*taps, x.shape[3], dy.shape[3]])
    for ty in range(taps[0]):
        for tx in range(taps[1]):
            dw[ty, tx] = np.tensordot(
                u[:, ty:, tx:][:, : h * down : down, : w * down : down], dy, ([0, 1, 2], [0, 1, 2])
            )
    dw = dw[::-1, ::-1] if turned else dw
    return dw.transpose(0, 1, 3, 2) if swapped else dw


def magnitude(x, w, **options):
    """What the absolute values of all products add up to, at most: errors are relative to it."""
    keep = {name: np.abs(value) for name, value in options.items() if name in ("in_scale", "out_scale", "fir")}
    keep |= {
        name: options[name] for name in options if name in ("up", "down", "pad", "size", "turned", "swapped", "fir_pad")
    }
    # Errors of sums grow like the root of the number of products.
    return reference(np.abs(x), np.abs(w), **keep).max() * options.get("gain", 1)


SHAPES = [  # x, taps, O
    ((2, 5, 7, 3), (3, 3), 5),
    ((1, 4, 4, 70), (3, 3), 33),
    ((3, 8, 8, 64), (3, 3), 64),
    ((1, 1, 1, 17), (1, 1), 3),
    ((1, 1, 1, 5), (3, 3), 1),
    ((2, 3, 40, 32), (1, 3), 24),
    ((1, 2, 270, 16), (2, 2), 48),
    ((1, 17, 6, 130), (4, 1), 130),
]
SHAPE_IDS = ["x".join(map(str, x)) + "-" + "x".join(map(str, taps)) + f"-{o}" for x, taps, o in SHAPES]


def check(library, x, w, unit, threads, **options):
    extra, dtype, tolerance = unit
    x = stored(x, dtype)
    want = reference(value(x), w, **options)
    out = stored(np.full(want.shape, np.nan, np.float32), dtype)
    got = value(native_conv.conv2d(library, x, w, out=out, threads=threads, **extra, **options))
    x = value(x)
    assert np.abs(got - want).max() <= tolerance * max(1, magnitude(x, w, **options))
    return got


@pytest.mark.parametrize("shape,taps,outputs", SHAPES, ids=SHAPE_IDS)
@pytest.mark.parametrize("up,down", [(1, 1), (2, 1), (1, 2)])
def test_convolution_is_the_reference(library, unit, threads, shape, taps, outputs, up, down):
    x, w = normal(1, *shape), normal(2, *taps, shape[3], outputs)
    pad = [n - 1 if up == 2 else n // 2 for n in taps]
    check(library, x, w, unit, threads, up=up, down=down, pad=pad)
    # Sizes that leave rows out or ask for rows of zeros, and the other forms of w.
    size = [n + 1 for n in plain_size(x, taps, up, down, pad)]
    check(library, x, w, unit, threads, up=up, down=down, pad=[taps[0], 0], size=size, turned=True)
    w = normal(3, *taps, outputs, shape[3])
    check(library, x, w, unit, threads, up=up, down=down, pad=pad, swapped=True)


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("fir", [(4, 4), (1, 3), "any", None], ids=str)
def test_everything_around_it(library, unit, threads, fir, up):
    x, w = normal(1, 2, 9, 11, 40), normal(2, 3, 3, 40, 37)
    options = {"up": up, "pad": (1, 2), "in_scale": normal(3, 2, 40), "out_scale": normal(4, 2, 37), "b": normal(5, 37)}
    size = plain_size(x, (3, 3), up, 1, (1, 2))
    if fir:
        options["fir"] = normal(6, 2, 5) if fir == "any" else np.outer(normal(7, fir[0]), normal(8, fir[1]))
        options["fir_pad"] = ((2, 1), (0, 3))
        size = [size[i] + 3 - options["fir"].shape[i] + 1 for i in (0, 1)]
    options |= {"noise": normal(9, 2, *size), "strength": normal(10, 1), "gain": 1.5}
    check(library, x, w, unit, threads, **options)
    options["noise"] = options["noise"][:1]
    check(library, x, w, unit, threads, **options, act="lrelu", clamp=30.0)
    check(library, x, w, unit, threads, **options, act="relu")


def test_large_images_are_stored_past_the_caches(library, unit, threads):
    x, w = normal(1, 1, 520, 521, 4), normal(2, 1, 1, 4, 48)  # 52 MB
    check(library, x, w, unit, threads)


@pytest.mark.parametrize("shape,taps,outputs", SHAPES, ids=SHAPE_IDS)
@pytest.mark.parametrize("up,down", [(1, 1), (2, 1), (1, 2)])
def test_filter_gradient_is_the_reference(library, unit, threads, shape, taps, outputs, up, down):
    extra, dtype, tolerance = unit
    x = normal(1, *shape)
    pad = [n - 1 if up == 2 else n // 2 for n in taps]
    dy = normal(2, shape[0], *plain_size(x, taps, up, down, pad), outputs)
    scales = {"in_scale": normal(3, shape[0], shape[3]), "out_scale": normal(4, shape[0], outputs)}
    for more in ({}, {"turned": True, **scales}, {"swapped": True, **scales}):
        options = {"up": up, "down": down, "pad": pad, **more}
        want = reference_gradient(x, dy, taps, **options)
        x_stored, dy_stored = stored(x, dtype), stored(dy, dtype)
        out = np.full(want.shape, np.nan, np.float32)
        got = native_conv.filter_gradient(
            library, x_stored, dy_stored, taps, out=out, threads=threads, **extra, **options
        )
        positive = {name: np.abs(value) if "scale" in name else value for name, value in options.items()}
        most = reference_gradient(np.abs(x), np.abs(dy), taps, **positive).max()
        assert np.abs(got - want).max() <= tolerance * max(1, most)


def test_gradients_are_convolutions(library):
    # <conv(x, w), dy> = <x, gradient for x> = <w, gradient for w>, for all that networks use.
    for up, down, pad in ((1, 1, 1), (2, 1, 2), (1, 2, 0)):
        x, w = normal(1, 2, 9, 9, 24), normal(2, 3, 3, 24, 40)
        y = native_conv.conv2d(library, x, w, up=up, down=down, pad=(pad, pad))
        dy = normal(3, *y.shape)
        want = np.vdot(y.astype(np.float64), dy)
        back = {
            "up": down,
            "down": up,
            "pad": (2 - pad, 2 - pad),
            "size": x.shape[1:3],
            "turned": True,
            "swapped": True,
        }
        dx = native_conv.conv2d(library, dy, w, **back)
        dw = native_conv.filter_gradient(library, x, dy, (3, 3), up=up, down=down, pad=(pad, pad))
        scale = np.linalg.norm(y) * np.linalg.norm(dy)
        assert abs(np.vdot(dx.astype(np.float64), x) - want) < 1e-6 * scale
        assert abs(np.vdot(dw.astype(np.float64), w) - want) < 1e-6 * scale


def test_bfloat16(library, unit, threads):
    """Of numbers that are bfloat16 already nothing but the result is rounded."""
    extra, dtype, _ = unit
    if dtype != "bfloat16":
        pytest.skip("of float32")
    x, w, b = to_bfloat16(normal(1, 2, 9, 20, 50)), from_bfloat16(to_bfloat16(normal(2, 3, 3, 50, 35))), normal(3, 35)
    got = from_bfloat16(native_conv.conv2d(library, x, w, pad=(1, 1), threads=threads, b=b, act="lrelu", **extra))
    want = reference(from_bfloat16(x), w, pad=(1, 1), b=b, act="lrelu")
    np.testing.assert_allclose(got, want, rtol=2**-8, atol=1e-4)  # half a unit of bfloat16's last place
    dy = to_bfloat16(normal(4, 2, 9, 20, 35))
    got = native_conv.filter_gradient(library, x, dy, (3, 3), pad=(1, 1), threads=threads, **extra)
    want = reference_gradient(from_bfloat16(x), from_bfloat16(dy), (3, 3), pad=(1, 1))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-3)


def test_bits_do_not_depend_on_threads(library, unit):
    """Neither on those that do the work nor on how many it is cut up for."""
    extra, dtype, _ = unit
    x, w, dy = stored(normal(1, 3, 40, 50, 48), dtype), normal(2, 3, 3, 48, 40), stored(normal(3, 3, 40, 50, 40), dtype)
    up = {
        "up": 2,
        "size": (81, 101),
        "fir": np.ones([4, 4]),
        "fir_pad": ((1, 1), (1, 1)),
        "noise": normal(4, 3, 80, 100),
    }

    def results(**threads):
        yield native_conv.conv2d(library, x, w, pad=(1, 1), **threads, **extra)
        yield native_conv.conv2d(library, x, w, pad=(2, 2), **up, **threads, **extra)
        yield native_conv.filter_gradient(library, x, dy, (3, 3), pad=(1, 1), **threads, **extra)

    right = list(results())
    for threads, count in ((2, 2), (3, 5), (2, 64)):
        for got, want in zip(results(threads=native.pool(threads), thread_count=count), right):
            np.testing.assert_array_equal(got, want)


def test_nothing_in_nothing_out(library):
    w = normal(1, 3, 3, 4, 6)
    assert native_conv.conv2d(library, np.zeros([0, 8, 8, 4], np.float32), w, pad=(1, 1)).shape == (0, 8, 8, 6)
    # Without pixels there is still the bias.
    y = native_conv.conv2d(library, np.zeros([2, 0, 3, 4], np.float32), w, pad=(1, 1), size=(2, 3), b=np.arange(6.0))
    np.testing.assert_array_equal(y, np.broadcast_to(np.arange(6.0), [2, 2, 3, 6]))
    empty, dy = np.zeros([0, 8, 8, 4], np.float32), np.zeros([0, 8, 8, 6], np.float32)
    dw = native_conv.filter_gradient(
        library, empty, dy, (3, 3), pad=(1, 1), out=np.full([3, 3, 4, 6], np.nan, np.float32)
    )
    np.testing.assert_array_equal(dw, np.zeros([3, 3, 4, 6]))


@pytest.mark.parametrize("fir", [None, np.ones([4, 4]), np.ones([2, 3])], ids=["plain", "filtered", "any filter"])
def test_without_channels_there_is_still_the_bias(library, unit, fir):
    extra, dtype, _ = unit
    x, w = stored(np.zeros([2, 5, 6, 0], np.float32), dtype), np.zeros([3, 3, 0, 37], np.float32)
    b = value(stored(normal(1, 37), dtype))
    for up in (1, 2):
        size = plain_size(x, (3, 3), up, 1, (2, 2))
        more = {"size": size, "up": up, "pad": (2, 2), "b": b, "act": "relu"}
        if fir is not None:
            more |= {"fir": fir, "fir_pad": ((2, 3), (1, 2))}
            size = [size[i] + (5, 3)[i] - fir.shape[i] + 1 for i in (0, 1)]
        out = stored(np.full([2, *size, 37], np.nan, np.float32), dtype)
        y = value(native_conv.conv2d(library, x, w, out=out, **extra, **more))
        np.testing.assert_array_equal(y, np.broadcast_to(np.maximum(b, 0), y.shape))


def test_the_largest_numbers(library, unit):
    """Infinite numbers, and finite ones that no bfloat16 number is near to, whatever they are cut into."""
    extra, dtype, tolerance = unit
    if dtype == "bfloat16":
        pytest.skip("rounded to what bfloat16 counts to")
    x, w = normal(1, 1, 9, 9, 40), normal(2, 3, 3, 40, 33)
    w[..., 5:10] = np.round(w[..., 5:10] * 4) / 4 + 0.125  # a single part
    x[0, 2, 2, 3], x[0, 6, 6, 39] = np.inf, -np.inf
    got = native_conv.conv2d(library, x, w, pad=(1, 1), **extra)
    np.testing.assert_array_equal(got[~np.isfinite(got)], reference(x, w, pad=(1, 1))[~np.isfinite(got)])
    assert np.isinf(got).sum() == 2 * 9 * 33
    w[0, 0, 0, 0] = -np.inf
    assert np.isneginf(native_conv.conv2d(library, np.abs(normal(1, 1, 3, 3, 40)), w, **extra)[0, 0, 0, 0])

    most = np.finfo(np.float32).max
    x, w = np.full([1, 4, 4, 16], most, np.float32), normal(3, 1, 1, 16, 16) / 32
    want = reference(x, w)
    assert np.abs(want).max() < most
    np.testing.assert_allclose(
        native_conv.conv2d(library, x, w, **extra), want, rtol=0, atol=tolerance * most, equal_nan=False
    )
    x, w = normal(1, 1, 4, 4, 16) / 32, np.full([1, 1, 16, 16], -most, np.float32)
    want = reference(x, w)
    np.testing.assert_allclose(native_conv.conv2d(library, x, w, **extra), want, rtol=0, atol=tolerance * most)


def test_infinite_sums_are_cut_by_relu(library, unit):
    """Also by a leaky ReLU that does not leak: 0 times minus infinity would be no number."""
    extra, dtype, _ = unit
    x, w = stored(np.full([1, 3, 3, 16], -np.inf, np.float32), dtype), np.ones([1, 1, 16, 16], np.float32)
    y = native_conv.conv2d(library, x, w, act="relu", **extra)
    np.testing.assert_array_equal(y, np.zeros_like(y))


BAD = [
    ({"up": 3}, "out of range"),
    ({"up": 2, "down": 2}, "out of range"),
    ({"down": 0}, "out of range"),
    ({"act": "tanh"}, "out of range"),
    ({"dtype": 2}, "out of range"),
    ({"unit": "dot"}, "out of range"),
    ({"kh": 17}, "out of range"),
    ({"in_c": -1}, "out of range"),
    ({"y": None}, "out of range"),
    ({"noise_n": 3, "noise": np.zeros([3, 4, 4])}, "out of range"),
    ({"n": 2**40, "in_h": 2**20}, "more elements"),
    ({"isa": "base", "unit": "amx"}, "lacks the instruction set"),
]


@pytest.mark.parametrize("options,message", BAD, ids=[str(i) for i in range(len(BAD))])
def test_bad_arguments_have_words(library, options, message):
    x, w = np.zeros([1, 4, 4, 4], np.float32), np.zeros([3, 3, 4, 4], np.float32)
    with pytest.raises(ValueError, match=message):
        native_conv.conv2d(
            library, x, w, size=(4, 4), pad=(1, 1), **{"out": np.zeros([1, 4, 4, 4], np.float32), **options}
        )

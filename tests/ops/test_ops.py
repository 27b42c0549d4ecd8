"""Operations beyond the recorded values: numeric gradients, odd and unknown shapes, arbitrary arguments, mistakes."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close
from hypothesis import assume, given
from hypothesis import strategies as st
from op_helpers import check_gradients, normal

from tf_stylegan.errors import UserError
from tf_stylegan.ops import random
from tf_stylegan.ops.conv import conv2d, conv_downsample_2d, modulated_conv2d, upsample_conv_2d
from tf_stylegan.ops.fused_bias_act import ACTIVATIONS, fused_bias_act
from tf_stylegan.ops.upfirdn_2d import downsample_2d, filter_2d, setup_kernel, upfirdn_2d, upsample_2d

RND = np.random.RandomState(0)
K = RND.randn(3, 2).astype(np.float32)  # neither square nor symmetric: turned the wrong way, it shows
TAPS = [1, 3, 3, 1]


def slow_upfirdn_2d(x, k, upx, upy, downx, downy, padx0, padx1, pady0, pady1):
    """The definition, pixel by pixel, in NumPy."""
    n, h, w, c = x.shape
    big = np.zeros([n, h * upy, w * upx, c])
    big[:, ::upy, ::upx] = x
    big = np.pad(big, [(0, 0), (max(pady0, 0), max(pady1, 0)), (max(padx0, 0), max(padx1, 0)), (0, 0)])
    big = big[:, max(-pady0, 0) : big.shape[1] - max(-pady1, 0), max(-padx0, 0) : big.shape[2] - max(-padx1, 0)]
    rows, columns = range(0, big.shape[1] - k.shape[0] + 1, downy), range(0, big.shape[2] - k.shape[1] + 1, downx)
    y = np.zeros([n, len(rows), len(columns), c])
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            window = big[:, row : row + k.shape[0], column : column + k.shape[1]]
            y[:, i, j] = (window * k[::-1, ::-1, None]).sum(axis=(1, 2))
    return y


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"upx": 2, "upy": 2, "padx0": 2, "padx1": 1, "pady0": 2, "pady1": 1},
        {"downx": 2, "downy": 2, "padx0": 1, "pady1": 1},
        {"upx": 3, "downx": 2, "downy": 3, "padx0": -1, "padx1": 4, "pady0": 2, "pady1": -1},
        {"padx0": -2, "padx1": -1, "pady0": -1, "pady1": 5},
    ],
)
def test_upfirdn_2d_gradients(kwargs):
    check_gradients(lambda x: upfirdn_2d(x, K, **kwargs), [normal(2, 5, 6, 2)])


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_fused_bias_act_gradients(act):
    x = normal(3, 2, 4)
    x = tf.where(tf.abs(x) < 0.2, x + tf.sign(x), x)  # away from the bend at zero, where differences mean nothing
    b = tf.constant([0.02, -0.05, 0.1, 0.0], tf.float64)
    check_gradients(lambda x, b: fused_bias_act(x, b, act=act), [x, b])


CONVOLUTIONS = {
    "conv2d": conv2d,
    "up": lambda x, w: upsample_conv_2d(x, w, k=TAPS),
    "down": lambda x, w: conv_downsample_2d(x, w, k=TAPS),
    "up_box": upsample_conv_2d,
    "down_box": conv_downsample_2d,
}


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_gradients(name, size):
    check_gradients(CONVOLUTIONS[name], [normal(1, 2, 4, 2), normal(size, size, 2, 2)])


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"up": True, "resample_kernel": TAPS},
        {"down": True, "resample_kernel": TAPS},
        {"demodulate": False},
    ],
)
def test_modulated_conv2d_gradients(kwargs):
    inputs = [normal(2, 2, 2, 2), normal(3, 3, 2, 2), normal(2, 2) + 1]
    check_gradients(lambda x, w, style: modulated_conv2d(x, w, style, **kwargs), inputs)


@pytest.mark.parametrize("kwargs", [{}, {"up": True, "resample_kernel": TAPS}, {"down": True}])
def test_demodulation_is_a_kernel_of_unit_norm_per_sample(kwargs):
    x, w, style = normal(2, 4, 4, 3), normal(3, 3, 3, 5), normal(2, 3) + 1
    y = modulated_conv2d(x, w, style, **kwargs)
    for n in range(2):
        kernel = w * style[n][:, None]
        kernel /= tf.sqrt(tf.reduce_sum(kernel**2, axis=[0, 1, 2]) + 1e-8)
        plain = modulated_conv2d(x[n : n + 1], kernel, tf.ones([1, 3], tf.float64), demodulate=False, **kwargs)
        assert_close(y[n : n + 1], plain, 1e-12)


@given(
    st.tuples(*[st.integers(1, high) for high in (2, 6, 6, 3)]),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(*[st.integers(1, 3)] * 4),
    st.tuples(*[st.integers(-3, 5)] * 4),
)
def test_upfirdn_2d_is_its_definition(shape, taps, factors, pads):
    upx, upy, _, _ = factors
    assume(shape[2] * upx + pads[0] + pads[1] >= taps[1] and shape[1] * upy + pads[2] + pads[3] >= taps[0])
    # What is cut off at one side must be there before the other side is padded.
    assume(shape[2] * upx + min(pads[0], 0) + min(pads[1], 0) >= 0)
    assume(shape[1] * upy + min(pads[2], 0) + min(pads[3], 0) >= 0)
    x, k = np.random.RandomState(1).randn(*shape), np.random.RandomState(2).randn(*taps).astype(np.float32)
    assert_close(upfirdn_2d(x, k, *factors, *pads), slow_upfirdn_2d(x, k, *factors, *pads), 1e-12)


OPS = {
    "upfirdn_2d": lambda x: upfirdn_2d(x, K, 2, 2, 1, 1, 3, -1, 0, 2),
    "upfirdn_2d_mixed": lambda x: upfirdn_2d(x, K, 2, 1, 1, 3, 3, 1, 0, 2),
    "upsample_2d": lambda x: upsample_2d(x, TAPS),
    "downsample_2d": lambda x: downsample_2d(x, TAPS),
    "filter_2d": lambda x: filter_2d(x, TAPS),
    "conv2d": lambda x: conv2d(x, tf.ones([3, 3, 2, 5], x.dtype)),
    "upsample_conv_2d": lambda x: upsample_conv_2d(x, tf.ones([3, 3, 2, 5], x.dtype), TAPS),
    "upsample_conv_2d_1x1": lambda x: upsample_conv_2d(x, tf.ones([1, 1, 2, 5], x.dtype), TAPS),
    "conv_downsample_2d": lambda x: conv_downsample_2d(x, tf.ones([3, 3, 2, 5], x.dtype), TAPS),
    "conv_downsample_2d_1x1": lambda x: conv_downsample_2d(x, tf.ones([1, 1, 2, 5], x.dtype), TAPS),
    "fused_bias_act": lambda x: fused_bias_act(x, tf.ones([2]), act="swish"),
    "modulated_conv2d": lambda x: modulated_conv2d(x, tf.ones([3, 3, 2, 5], x.dtype), x[:, 0, 0], up=True),
}


@pytest.mark.parametrize("spec", [(None, 6, 7, 2), (None, None, None, 2)])
@pytest.mark.parametrize("name", OPS)
def test_sizes_unknown_at_tracing(name, spec):
    """The same values and gradients as with known sizes, from one trace for all sizes that fit."""

    def with_gradients(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = OPS[name](x)
                cubes = tf.reduce_sum(y**3)
            dx = inner.gradient(cubes, x)
            squares = tf.reduce_sum(dx**2)
        return y, dx, outer.gradient(squares, x)

    traced = tf.function(with_gradients, input_signature=[tf.TensorSpec(spec, tf.float64)])
    sizes = [(2, 6, 7, 2)] if spec[1] else [(2, 6, 7, 2), (2, 7, 7, 2)]
    for size in sizes:
        x = normal(*size)
        for actual, expected in zip(traced(x), with_gradients(x)):
            assert_close(actual, expected, 1e-9, f"{name} {size}")


@pytest.mark.parametrize("name", OPS)
def test_empty_batch(name):
    x = tf.cast(normal(1, 6, 7, 2), tf.float32)
    y = OPS[name](x[:0])
    assert y.shape == [0, *OPS[name](x).shape[1:]]
    assert y.dtype == tf.float32


def test_huge_pads():
    x = normal(1, 3, 3, 2)
    y = upfirdn_2d(x, np.ones([1, 1]), padx0=500, padx1=7, pady0=0, pady1=900)
    assert y.shape == [1, 903, 510, 2]
    assert_close(y[:, :3, 500:503], x, 0)
    assert np.abs(y).sum() == pytest.approx(np.abs(x).sum(), rel=1e-12)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = upfirdn_2d(x, np.ones([2, 2]), padx0=500, padx1=7, pady0=0, pady1=900)
    # Every pixel is covered by four windows, but the first row only by two: nothing is padded above it.
    assert_close(tape.gradient(y, x)[0, :, :, 0], [[2, 2, 2], [4, 4, 4], [4, 4, 4]], 0)


def test_dtype_is_kept():
    for dtype in (tf.float16, tf.bfloat16, tf.float32, tf.float64):
        x = tf.ones([1, 4, 4, 2], dtype)
        assert upfirdn_2d(x, K).dtype == dtype
        assert fused_bias_act(x, tf.ones([2]), act="lrelu").dtype == dtype


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: upfirdn_2d(x, [1, 2]), r"k must be a kernel \[kh, kw\], got shape \[2\]"),
        (lambda x: upfirdn_2d(x, np.zeros([0, 3])), r"k must be a kernel \[kh, kw\], got shape \[0, 3\]"),
        (lambda x: upfirdn_2d(x, K, upx=0), "factors must be at least 1, got up 0, 1 and down 1, 1"),
        (lambda x: upfirdn_2d(x, K, downy=-2), "factors must be at least 1, got up 1, 1 and down 1, -2"),
        (lambda x: upfirdn_2d(x[0], K), r"x must be \[N, H, W, C\], got shape \(4, 5, 2\)"),
        (
            lambda x: upfirdn_2d(x, K, pady0=-1, pady1=-1),
            r"H = 4 .* padded by \(-1, -1\) is smaller than the kernel's 3",
        ),
        (lambda x: upfirdn_2d(x, K, padx0=-4), r"W = 5 .* padded by \(-4, 0\) is smaller than the kernel's 2"),
        (lambda x: setup_kernel(np.ones([2, 3])), r"must be \[n\] or \[n, n\], got shape \[2, 3\]"),
        (lambda x: upsample_2d(x, np.ones([2, 2, 2])), r"must be \[n\] or \[n, n\], got shape \[2, 2, 2\]"),
        (lambda x: fused_bias_act(x, act="gelu"), "unknown activation 'gelu'; known: linear, relu"),
        (lambda x: fused_bias_act(x, tf.ones([3])), r"b must be \[2\], got shape \(3,\)"),
        (lambda x: fused_bias_act(x, tf.ones([1, 2])), r"b must be \[2\], got shape \(1, 2\)"),
    ],
)
def test_mistakes_say_what_was_wrong(call, message):
    with pytest.raises(UserError, match=message):
        call(normal(1, 4, 5, 2))


def test_kernel_is_normalised():
    assert_close(setup_kernel([1, 3, 3, 1], gain=4), np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16, 1e-7)
    assert_close(setup_kernel([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]]) / 10, 1e-7)
    x = tf.constant(np.arange(16.0).reshape(1, 4, 4, 1))
    assert_close(downsample_2d(x)[0, :, :, 0], [[2.5, 4.5], [10.5, 12.5]], 1e-7)
    assert_close(upsample_2d(x), np.repeat(np.repeat(x, 2, 1), 2, 2), 1e-7)


@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_shards_together_are_the_whole(draw):
    whole = getattr(random.Source([3, 4]), draw)([6, 2, 5])
    for count in (2, 3):
        for index in range(count):
            shard = getattr(random.Source([3, 4], index, count), draw)([6 // count, 2, 5])
            np.testing.assert_array_equal(shard, whole[index::count])
    shared = getattr(random.Source([3, 4], 1, 3).shared(), draw)([6, 2, 5])
    np.testing.assert_array_equal(shared, whole)


def test_draws_are_what_they_are_called():
    normal, uniform = random.Source([1, 2]).normal([4000]), random.Source([1, 2]).uniform([4000])
    assert abs(np.mean(normal)) < 0.05
    assert np.std(normal) == pytest.approx(1, abs=0.05)
    assert 0 <= np.min(uniform) < 0.01
    assert 0.99 < np.max(uniform) < 1
    assert np.mean(uniform) == pytest.approx(0.5, abs=0.02)


def test_fold_in_makes_independent_sources():
    source = random.Source([5, 6])
    folded = {
        numbers: source.fold_in(*numbers).normal([1000]).numpy()
        for numbers in ((), (0,), (1,), (0, 1), (1, 0), (2**31 - 1,))
    }
    for a, x in folded.items():
        np.testing.assert_array_equal(source.fold_in(*a).normal([1000]), x)
        for b, y in folded.items():
            assert a == b or abs(np.corrcoef(x, y)[0, 1]) < 0.15, (a, b)
    np.testing.assert_array_equal(source.fold_in(0).fold_in(1).normal([1000]), folded[0, 1])
    parts = [source.fold_in(7), random.Source([5, 6], 1, 2).fold_in(7)]
    np.testing.assert_array_equal(parts[1].normal([2, 3]), parts[0].normal([4, 3])[1::2])


def test_without_a_seed_nothing_repeats():
    source = random.as_source(None)
    assert np.all(source.normal([8]) != source.normal([8]))
    assert np.all(source.fold_in(1).uniform([8]) != source.fold_in(1).uniform([8]))
    assert random.as_source(source) is source
    np.testing.assert_array_equal(random.as_source([1, 2]).normal([8]), random.Source([1, 2]).normal([8]))

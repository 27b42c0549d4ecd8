"""Pad, upsample, filter and downsample a batch of images, and what is made of it (F1).

The operation of Karras et al. 2019 (StyleGAN2), appendix B, and dnnlib/tflib/ops/upfirdn_2d.py of the original:
insert zeros, pad or crop, convolve every channel with one small kernel, keep every n-th pixel. Its gradient is the
same operation with up and down exchanged and the kernel turned by 180°, so gradients of any order exist.
"""

import numpy as np
import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.ops import loader
from tf_stylegan.ops.native import MAX_TAPS

# Graphs that leave this program cannot take the gradient below along, nor the compiled operations.
portable = loader.portable


def upfirdn_2d(
    x, k, upx=1, upy=1, downx=1, downy=1, padx0=0, padx1=0, pady0=0, pady1=0, impl="auto"
):  # fmt: skip
    """Upsamples by zeros, pads (negative: crops), convolves and downsamples.

    Args:
        x: `[N, H, W, C]`, floating point.
        k: kernel `[kh, kw]`, a NumPy array or nested list; constant, the same for all channels. It is convolved (turned
            by 180°), not correlated.
        upx, upy: factor along W and H; each pixel is followed by factor − 1 zeros.
        downx, downy: every how many pixels of the result one is kept.
        padx0, padx1, pady0, pady1: zeros before and after the upsampled image, in its pixels; negative numbers crop.
        impl: "auto", "custom" (compiled) or "reference" (TensorFlow's own operations), see `ops.loader`.
    Returns:
        `[N, (H·upy + pady0 + pady1 − kh) // downy + 1, likewise W, C]`, dtype of `x`.
    Raises:
        UserError: for a kernel that is not 2-D, factors below 1, padding that leaves less than the kernel's size, or a
            missing library with impl="custom".
    """
    k = np.asarray(k, np.float32)
    if min(upx, upy, downx, downy) < 1:
        raise UserError(f"upfirdn_2d: factors must be at least 1, got up {upx}, {upy} and down {downx}, {downy}")
    x = tf.convert_to_tensor(x)
    if x.shape.rank != 4:
        raise UserError(f"upfirdn_2d: x must be [N, H, W, C], got shape {x.shape}")
    check_filter("upfirdn_2d", x.shape[1:3], k, (upy, upx), ((pady0, pady1), (padx0, padx1)))
    up, down, pad = (upy, upx), (downy, downx), ((pady0, pady1), (padx0, padx1))
    if loader.implementation(impl) == "custom" and max(k.shape) <= MAX_TAPS:
        return custom_upfirdn_2d(x, k, up, down, pad)
    return _differentiable(x, k, up, down, pad)


def check_filter(name, size, k, up, pad):
    """UserError for a kernel that is none, and for padding that leaves less of an image than the kernel needs.

    Args:
        name: of the operation, for the message.
        size: [H, W] before upsampling, each an int or None.
        k: NumPy kernel; up: (H, W) factors; pad: ((y0, y1), (x0, x1)).
    """
    if k.ndim != 2 or k.size == 0:
        raise UserError(f"{name}: k must be a kernel [kh, kw], got shape {list(k.shape)}")
    for axis, length, factor, (before, after), taps in zip("HW", size, up, pad, k.shape):
        whole = None if length is None else length * factor
        if whole is not None and (whole + before + after < taps or min(before, after) < -whole):
            raise UserError(
                f"{name}: {axis} = {length} upsampled by {factor} and padded by ({before}, {after}) is smaller than "
                f"the kernel's {taps}"
            )


def _differentiable(x, k, up, down, pad):
    """`_forward` with the gradient that is itself an upfirdn_2d; `up`, `down` and `pad` are (H, W) pairs."""
    if loader.is_portable():
        return _forward(x, k, up, down, pad)
    shape = x.shape
    in_size = _size(x)

    @tf.custom_gradient
    def run(x):
        y = _forward(x, k, up, down, pad)

        def grad(dy):
            pad_back = _pad_back(in_size, _size(dy), k.shape, up, down, [before for before, _ in pad])
            dx = _differentiable(dy, k[::-1, ::-1], down, up, pad_back)
            dx.set_shape([None, *shape[1:]])
            return dx

        return y, grad

    return run(x)


def _pad_back(in_size, out_size, taps, up, down, before):
    """The padding of the adjoint, ((y0, y1), (x0, x1)); all arguments are (H, W) pairs.

    The adjoint inserts `down − 1` zeros into dy, filters with the turned kernel and keeps every `up`-th pixel; this
    padding brings each pixel back to where it came from.
    """
    return tuple(
        (taps[i] - 1 - before[i], in_size[i] * up[i] - out_size[i] * down[i] + before[i] - up[i] + 1) for i in (0, 1)
    )


def custom_upfirdn_2d(x, k, up, down, pad):
    """The compiled operation; its gradient is registered below."""
    return loader.ops().tf_stylegan_upfirdn2d(
        x=x, pad=tf.stack([*pad[0], *pad[1]]), k=k.ravel().tolist(), kh=k.shape[0], kw=k.shape[1],
        up_y=up[0], up_x=up[1], down_y=down[0], down_x=down[1],
    )  # fmt: skip


@tf.RegisterGradient("TfStylegan>Upfirdn2d")
def _gradient(op, dy):
    x, pad = op.inputs
    up, down = ([op.get_attr(f"{name}_{axis}") for axis in "yx"] for name in ("up", "down"))
    taps = [op.get_attr("kh"), op.get_attr("kw")]
    k = np.reshape(np.asarray(op.get_attr("k"), np.float32), taps)
    dx = custom_upfirdn_2d(dy, k[::-1, ::-1], down, up, adjoint_padding(pad, x, dy, taps, up, down))
    dx.set_shape([None, *x.shape[1:]])
    return dx, None


def adjoint_padding(pad, x, dy, taps, up, down):
    """`_pad_back` from the operation's input `pad` `[4]`, whose numbers may be known at tracing or not."""
    known = tf.get_static_value(pad)
    before = [pad[0], pad[2]] if known is None else [int(known[0]), int(known[2])]
    return _pad_back(_size(x), _size(dy), taps, up, down, before)


def _forward(x, k, up, down, pad):
    """The plain TensorFlow computation, by depthwise convolutions (the fastest of six ways on a CPU)."""
    if x.shape[0] == 0:  # oneDNN's convolutions give an empty batch the shape of their input
        size = [(n * u + sum(p) - taps) // d + 1 for n, u, d, p, taps in zip(_size(x), up, down, pad, k.shape)]
        return tf.zeros([0, *size, x.shape[3]], x.dtype)
    channels = tf.shape(x)[3] if x.shape[3] is None else x.shape[3]
    if up[0] == up[1] > 1 and down == (1, 1):
        # The transposed depthwise convolution skips the inserted zeros: 1.5 to 3 times faster than multiplying them.
        kernel = tf.tile(tf.constant(k[:, :, None, None], x.dtype), [1, 1, channels, 1])
        full = [size * factor + taps - 1 for size, factor, taps in zip(_size(x), up, k.shape)]
        y = tf.nn.depthwise_conv2d_backprop_input(
            tf.stack([tf.shape(x)[0], *full, channels]), kernel, x, strides=[1, *up, 1], padding="VALID"
        )
        y.set_shape([x.shape[0], *(size if isinstance(size, int) else None for size in full), x.shape[3]])
        # This is the full convolution; the one asked for starts at its pixel taps − 1 − pad0.
        return _pad_or_crop(y, [(before - taps + 1, after - taps + 1) for (before, after), taps in zip(pad, k.shape)])
    x = _pad_or_crop(_insert_zeros(x, up), pad)
    kernel = tf.tile(tf.constant(k[::-1, ::-1, None, None], x.dtype), [1, 1, channels, 1])
    if down[0] == down[1]:
        return tf.nn.depthwise_conv2d(x, kernel, [1, *down, 1], "VALID")
    y = tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "VALID")  # the CPU kernel knows only equal strides
    return y[:, :: down[0], :: down[1]]


def _size(x):
    """[H, W], each an int where it is known at tracing, else a tensor."""
    return [tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis] for axis in (1, 2)]


def _insert_zeros(x, up):
    if up == (1, 1):
        return x
    h, w = _size(x)
    x = tf.reshape(x, [-1, h, 1, w, 1, x.shape[3]])
    x = tf.pad(x, [[0, 0], [0, 0], [0, up[0] - 1], [0, 0], [0, up[1] - 1], [0, 0]])
    return tf.reshape(x, [-1, h * up[0], w * up[1], x.shape[5]])


def _pad_or_crop(x, pad):
    """Zero-pads H and W; negative numbers crop. The numbers are tensors where sizes are unknown at tracing."""
    (y0, y1), (x0, x1) = pad
    if all(isinstance(amount, int) for amount in (y0, y1, x0, x1)):
        larger, both = max, (y0, y1, x0, x1)
    else:
        larger, both = tf.maximum, None
    if both is None or min(both) < 0:
        h, w = _size(x)
        x = x[:, larger(-y0, 0) : h - larger(-y1, 0), larger(-x0, 0) : w - larger(-x1, 0)]
    if both is None or max(both) > 0:
        x = tf.pad(x, [[0, 0], [larger(y0, 0), larger(y1, 0)], [larger(x0, 0), larger(x1, 0)], [0, 0]])
    return x


def setup_kernel(k, gain=1.0):
    """Normalised 2-D kernel: a 1-D list becomes its outer product; the sum is `gain`.

    Args:
        k: list or array `[n]` or `[n, n]`; None is a box (made by the callers, who know the factor).
    Returns:
        float32 array `[n, n]`.
    """
    k = np.asarray(k, np.float32)
    if k.ndim == 1:
        k = np.outer(k, k)
    if k.ndim != 2 or k.shape[0] != k.shape[1]:
        raise UserError(f"a resampling kernel must be [n] or [n, n], got shape {list(k.shape)}")
    return k * np.float32(gain / k.sum())


def upsample_2d(x, k=None, factor=2, gain=1.0, impl="auto"):
    """Upsamples `[N, H, W, C]` by `factor`; `k` is the filter of the high resolution, None is nearest neighbour."""
    k = setup_kernel([1] * factor if k is None else k, gain * factor**2)
    p = k.shape[0] - factor
    return _resample(x, k, (p + 1) // 2 + factor - 1, p // 2, up=factor, impl=impl)


def downsample_2d(x, k=None, factor=2, gain=1.0, impl="auto"):
    """Downsamples `[N, H, W, C]` by `factor`; `k` is the filter of the high resolution, None is the box mean."""
    k = setup_kernel([1] * factor if k is None else k, gain)
    p = k.shape[0] - factor
    return _resample(x, k, (p + 1) // 2, p // 2, down=factor, impl=impl)


def filter_2d(x, k, gain=1.0, impl="auto"):
    """Filters `[N, H, W, C]`, size unchanged."""
    k = setup_kernel(k, gain)
    p = k.shape[0] - 1
    return _resample(x, k, (p + 1) // 2, p // 2, impl=impl)


def _resample(x, k, pad0, pad1, up=1, down=1, impl="auto"):
    """`upfirdn_2d` with the same numbers along both axes."""
    return upfirdn_2d(
        x, k, upx=up, upy=up, downx=down, downy=down, padx0=pad0, padx1=pad1, pady0=pad0, pady1=pad1, impl=impl
    )  # fmt: skip

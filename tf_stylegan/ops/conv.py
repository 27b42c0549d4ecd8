"""Convolutions of the StyleGAN2 networks; weights are arguments, nothing is created here (F1).

After training/networks_stylegan2.py and dnnlib/tflib/ops/upfirdn_2d.py of the original, in NHWC.
"""

import math

import tensorflow as tf

from tf_stylegan.ops.upfirdn_2d import downsample_2d, setup_kernel, upfirdn_2d, upsample_2d


def conv2d(x, w):
    """Plain convolution, stride 1, size kept. x `[N, H, W, I]`, w `[k, k, I, O]` with odd k → `[N, H, W, O]`."""
    if x.shape[0] == 0:  # oneDNN gives an empty batch the shape of its input
        return tf.zeros([*x.shape[:3], w.shape[3]], x.dtype)
    return tf.nn.conv2d(x, w, strides=1, padding="SAME")


def upsample_conv_2d(x, w, k=None, factor=2, gain=1.0):
    """Transposed convolution with stride `factor`, then the low-pass filter `k`, as one upsampling convolution.

    Args:
        x: `[N, H, W, I]`.
        w: `[kh, kw, I, O]`, kh = kw.
        k: filter of the high resolution, `[n]` or `[n, n]`; None is a box of `factor`.
        gain: scale of the result.
    Returns:
        `[N, H·factor, W·factor, O]`.
    """
    taps = w.shape[0]
    if taps == 1:  # one tap: filtering first touches I channels at most once more and skips a strided transpose
        return conv2d(upsample_2d(x, k, factor, gain), w)
    k = setup_kernel([1] * factor if k is None else k, gain * factor**2)
    p = k.shape[0] - factor - (taps - 1)
    size = tf.shape(x)
    out_size = [size[0], (size[1] - 1) * factor + taps, (size[2] - 1) * factor + taps, w.shape[3]]
    # TensorFlow's transposed convolution takes [kh, kw, O, I] and mirrors nothing: turn the kernel to get the
    # convolution that the original means.
    w = tf.transpose(w[::-1, ::-1], [0, 1, 3, 2])
    y = tf.nn.conv2d_transpose(x, w, out_size, strides=factor, padding="VALID")
    if None not in x.shape[1:3]:
        y.set_shape([None, (x.shape[1] - 1) * factor + taps, (x.shape[2] - 1) * factor + taps, None])
    pad0, pad1 = (p + 1) // 2 + factor - 1, p // 2 + 1
    return upfirdn_2d(y, k, padx0=pad0, padx1=pad1, pady0=pad0, pady1=pad1)


def conv_downsample_2d(x, w, k=None, factor=2, gain=1.0):
    """Low-pass filter `k`, then convolution with stride `factor`.

    Args, as `upsample_conv_2d`. Returns `[N, H / factor, W / factor, O]`.
    """
    taps = w.shape[0]
    if taps == 1:  # one tap: only the pixels that are kept need filtering
        return conv2d(downsample_2d(x, k, factor, gain), w)
    k = setup_kernel([1] * factor if k is None else k, gain)
    p = k.shape[0] - factor + (taps - 1)
    pad0, pad1 = (p + 1) // 2, p // 2
    y = upfirdn_2d(x, k, padx0=pad0, padx1=pad1, pady0=pad0, pady1=pad1)
    if x.shape[0] == 0:
        return tf.zeros([0, *((n - taps) // factor + 1 for n in y.shape[1:3]), w.shape[3]], x.dtype)
    return tf.nn.conv2d(y, w, strides=factor, padding="VALID")


def modulated_conv2d(x, w, style, up=False, down=False, demodulate=True, resample_kernel=None):
    """Convolution whose input channels are scaled per sample, its output brought back to unit variance (section 2.2).

    The activations are scaled, not the kernel: no grouped convolution is needed, any batch size runs on any device.

    Args:
        x: `[N, H, W, I]`.
        w: `[k, k, I, O]`, equalised learning rate already applied.
        style: `[N, I]` scales.
        up, down: change the size by 2 with `resample_kernel`.
        demodulate: divide by the norm that the scaled kernel would have, with 1e-8 under the root.
    Returns:
        `[N, H', W', O]`, type of x; w and style are float32.
    """
    if x.dtype == tf.float16 and demodulate:  # any scale goes away in demodulation: keep sums in half precision's range
        w = w * (math.sqrt(1 / math.prod(w.shape[:3])) / tf.reduce_max(tf.abs(w), axis=[0, 1, 2]))
        style = style / tf.reduce_max(tf.abs(style), axis=1, keepdims=True)
    factor = None
    if demodulate:
        power = tf.reduce_sum(tf.square(w), axis=[0, 1])  # [I, O]
        factor = tf.cast(tf.math.rsqrt(tf.matmul(tf.square(style), power) + 1e-8), x.dtype)  # [N, O]
    w = tf.cast(w, x.dtype)
    x = x * tf.cast(style, x.dtype)[:, None, None, :]
    if up:
        x = upsample_conv_2d(x, w, k=resample_kernel)
    elif down:
        x = conv_downsample_2d(x, w, k=resample_kernel)
    else:
        x = conv2d(x, w)
    return x * factor[:, None, None, :] if demodulate else x


def fused_upscale_conv_2d(x, w):
    """StyleGAN1's fused "nearest-neighbour upscaling, then convolution" (upscale2d_conv2d of networks_stylegan.py).

    A transposed convolution with the four shifted copies of the kernel added up. Unlike `upsample_conv_2d` it does not
    turn the kernel, which is how files at 128 pixels and above were trained.

    Args:
        x: `[N, H, W, I]`; w: `[k, k, I, O]`.
    Returns:
        `[N, 2·H, 2·W, O]`.
    """
    n, h, width = (tf.shape(x)[i] if x.shape[i] is None else x.shape[i] for i in range(3))
    w = tf.transpose(_add_shifted(w), [0, 1, 3, 2])
    return tf.nn.conv2d_transpose(x, w, tf.stack([n, h * 2, width * 2, w.shape[2]]), strides=2, padding="SAME")


def fused_conv_downscale_2d(x, w):
    """StyleGAN1's fused "convolution, then mean of 2×2": `[N, H, W, I]` → `[N, H/2, W/2, O]`."""
    return tf.nn.conv2d(x, _add_shifted(w) * 0.25, strides=2, padding="SAME")


def _add_shifted(w):
    """`[k, k, I, O]` → `[k+1, k+1, I, O]`: the kernel with a 2×2 box of ones."""
    w = tf.pad(w, [[1, 1], [1, 1], [0, 0], [0, 0]])
    return w[1:, 1:] + w[:-1, 1:] + w[1:, :-1] + w[:-1, :-1]

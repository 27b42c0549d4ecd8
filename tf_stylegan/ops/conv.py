"""Convolutions of the StyleGAN2 networks; weights are arguments, nothing is created here (F1).

After training/networks_stylegan2.py and dnnlib/tflib/ops/upfirdn_2d.py of the original, in NHWC.
"""

import math

import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.ops import compiled_conv
from tf_stylegan.ops.fused_bias_act import ACTIVATIONS, check_arguments, fused_bias_act
from tf_stylegan.ops.upfirdn_2d import downsample_2d, setup_kernel, upfirdn_2d, upsample_2d
from tf_stylegan.ops.upfirdn_2d_act import upfirdn_2d_act


def conv2d(x, w, impl="auto"):
    """Plain convolution, stride 1, size kept. x `[N, H, W, I]`, w `[k, k, I, O]` with odd k → `[N, H, W, O]`.

    impl: here and below "auto", "custom" or "reference", see `ops.loader`. Convolutions are compiled for CPUs, float32
    (fused layers, and all where the processor does not multiply bfloat16: bfloat16 too), sizes known when a graph is
    traced, and up to 16 taps; all else is TensorFlow's.
    """
    _check("conv2d", x, w, odd=True)
    if compiled_conv.usable(x, w, impl):
        return compiled_conv.conv(x, w, [w.shape[0] // 2, w.shape[1] // 2], x.shape[1:3])
    if x.shape[0] == 0:
        return _empty(x, w, x.shape[1:3])
    return tf.nn.conv2d(x, w, strides=1, padding="SAME")


def _empty(x, w, size):
    """The convolution of an empty batch, with gradients: oneDNN gives it, or them, the shape of something else."""
    nothing = (tf.reduce_sum(x) + tf.reduce_sum(w)) * 0
    return tf.zeros([0, *size, w.shape[3]], x.dtype) + nothing


def _check(name, x, w, odd=False):
    """UserError for an image or a kernel that is none, and for kernels that are not square or, if `odd`, not odd."""
    if len(x.shape) != 4 or len(w.shape) != 4 or x.shape[3] not in (w.shape[2], None):
        raise UserError(f"{name}: x must be [N, H, W, I] and w [k, k, I, O], got {x.shape} and {w.shape}")
    if w.shape[0] != w.shape[1] or (odd and w.shape[0] % 2 == 0):
        kind = "square and odd" if odd else "square"
        raise UserError(f"{name}: the kernel must be {kind}, [k, k, I, O], got shape {w.shape}")


def upsample_conv_2d(x, w, k=None, factor=2, gain=1.0, impl="auto"):
    """Transposed convolution with stride `factor`, then the low-pass filter `k`, as one upsampling convolution.

    Args:
        x: `[N, H, W, I]`.
        w: `[kh, kw, I, O]`, kh = kw.
        k: filter of the high resolution, `[n]` or `[n, n]`; None is a box of `factor`.
        gain: scale of the result.
    Returns:
        `[N, H·factor, W·factor, O]`.
    Raises (this, and the other convolutions):
        UserError: for what is no image, a kernel that is not square (without resampling: and odd), other arguments
            that do not fit, or a missing library with impl="custom".
    """
    _check("upsample_conv_2d", x, w)
    taps = w.shape[0]
    if taps == 1:  # one tap: filtering first touches I channels at most once more and skips a strided transpose
        return conv2d(upsample_2d(x, k, factor, gain, impl=impl), w, impl)
    k, pad0, pad1 = _fir_after(taps, k, factor, gain)
    y = _transposed_conv(x, w, factor, impl)
    return upfirdn_2d(y, k, padx0=pad0, padx1=pad1, pady0=pad0, pady1=pad1, impl=impl)


def _transposed_conv(x, w, factor, impl):
    """`[N, H, W, I]`, `[k, k, I, O]` → `[N, (H − 1)·factor + k, (W − 1)·factor + k, O]`, to be filtered."""
    taps = w.shape[0]
    full = [None if size is None else (size - 1) * factor + taps for size in x.shape[1:3]]
    if factor == 2 and compiled_conv.usable(x, w, impl):
        return compiled_conv.conv(x, w, [taps - 1, taps - 1], full, up=factor)
    if x.shape[0] == 0:
        return _empty(x, w, full)
    size = tf.shape(x)
    out_size = [size[0], (size[1] - 1) * factor + taps, (size[2] - 1) * factor + taps, w.shape[3]]
    # TensorFlow's transposed convolution takes [kh, kw, O, I] and mirrors nothing: turn the kernel to get the
    # convolution that the original means.
    w = tf.transpose(w[::-1, ::-1], [0, 1, 3, 2])
    y = tf.nn.conv2d_transpose(x, w, out_size, strides=factor, padding="VALID")
    y.set_shape([None, *full, None])
    return y


def _fir_after(taps, k, factor=2, gain=1.0):
    """(kernel, zeros before, zeros after) of the filter behind a transposed convolution of `taps`."""
    k = setup_kernel([1] * factor if k is None else k, gain * factor**2)
    p = k.shape[0] - factor - (taps - 1)
    return k, (p + 1) // 2 + factor - 1, p // 2 + 1


def conv_downsample_2d(x, w, k=None, factor=2, gain=1.0, impl="auto"):
    """Low-pass filter `k`, then convolution with stride `factor`.

    Args, as `upsample_conv_2d`. Returns `[N, H / factor, W / factor, O]`.
    """
    _check("conv_downsample_2d", x, w)
    taps = w.shape[0]
    if taps == 1:  # one tap: only the pixels that are kept need filtering
        return conv2d(downsample_2d(x, k, factor, gain, impl=impl), w, impl)
    k = setup_kernel([1] * factor if k is None else k, gain)
    p = k.shape[0] - factor + (taps - 1)
    pad0, pad1 = (p + 1) // 2, p // 2
    y = upfirdn_2d(x, k, padx0=pad0, padx1=pad1, pady0=pad0, pady1=pad1, impl=impl)
    if factor == 2 and compiled_conv.usable(y, w, impl):
        return compiled_conv.conv(y, w, [0, 0], [(size - taps) // factor + 1 for size in y.shape[1:3]], down=factor)
    if x.shape[0] == 0:
        return _empty(x, w, [(n - taps) // factor + 1 for n in y.shape[1:3]])
    return tf.nn.conv2d(y, w, strides=factor, padding="VALID")


def modulated_conv2d(
    x, w, style, up=False, down=False, demodulate=True, resample_kernel=None, noise=None, noise_strength=None, b=None,
    act="linear", gain=None, clamp=None, impl="auto",
):  # fmt: skip
    """Convolution whose input channels are scaled per sample, its output brought back to unit variance (section 2.2).

    The activations are scaled, not the kernel: no grouped convolution is needed, any batch size runs on any device.

    Args:
        x: `[N, H, W, I]`.
        w: `[k, k, I, O]`, equalised learning rate already applied.
        style: `[N, I]` scales.
        up, down: change the size by 2 with `resample_kernel`.
        demodulate: divide by the norm that the scaled kernel would have, with 1e-8 under the root.
        noise, noise_strength, b, act, gain, clamp: what follows, see `fused_bias_act`.
    Returns:
        `[N, H', W', O]`, type of x; w and style are float32.
    """
    _check("modulated_conv2d", x, w, odd=not up and not down)
    if not tf.TensorShape([x.shape[0], w.shape[2]]).is_compatible_with(style.shape):
        raise UserError(f"modulated_conv2d: style must be [{x.shape[0]}, {w.shape[2]}], got shape {style.shape}")
    if x.dtype == tf.float16 and demodulate:  # any scale goes away in demodulation: keep sums in half precision's range
        w = w * (math.sqrt(1 / math.prod(w.shape[:3])) / tf.reduce_max(tf.abs(w), axis=[0, 1, 2]))
        style = style / tf.reduce_max(tf.abs(style), axis=1, keepdims=True)
    factor = None
    if demodulate:
        power = tf.reduce_sum(tf.square(w), axis=[0, 1])  # [I, O]
        factor = tf.math.rsqrt(tf.matmul(tf.square(style), power) + 1e-8)  # [N, O]
    taps = w.shape[0]
    k, *pad = _fir_after(taps, resample_kernel) if up else (None, 0, 0)

    def pieces(x, w, style, factor, b, noise, strength):
        w = tf.cast(w, x.dtype)
        x = fused_bias_act(x, scale=style, impl=impl)
        after = {
            "b": b, "act": act, "gain": gain, "clamp": clamp, "scale": factor, "noise": noise,
            "noise_strength": strength, "impl": impl,
        }  # fmt: skip
        if up and taps > 1:
            return upfirdn_2d_act(_transposed_conv(x, w, 2, impl), k, (pad, pad), **after)
        if up:
            x = upsample_conv_2d(x, w, k=resample_kernel, impl=impl)
        elif down:
            x = conv_downsample_2d(x, w, k=resample_kernel, impl=impl)
        else:
            x = conv2d(x, w, impl)
        return fused_bias_act(x, **after)

    if down or (up and taps == 1) or act not in ("linear", "lrelu") or not compiled_conv.fuses(x, w, k, impl):
        return pieces(x, w, style, factor, b, noise, noise_strength)
    shape = {"pad": [taps // 2, taps // 2], "out_size": x.shape[1:3]}
    if up:
        shape = {
            "pad": [taps - 1, taps - 1], "up": 2, "mid_size": [(size - 1) * 2 + taps for size in x.shape[1:3]],
            "fir": k, "fir_pad": [pad[0], pad[0]], "out_size": [size * 2 for size in x.shape[1:3]],
        }  # fmt: skip
    b, noise = (None if value is None else tf.convert_to_tensor(value) for value in (b, noise))
    shape_out = tf.TensorShape([x.shape[0], *shape["out_size"], w.shape[3]])
    check_arguments("modulated_conv2d", shape_out, b, factor, noise, clamp)
    spec = ACTIVATIONS[act]
    return compiled_conv.styled_conv(
        x, w, pieces=pieces, in_scale=style, out_scale=factor, b=b, noise=noise, strength=noise_strength,
        alpha=1.0 if spec.def_alpha is None else spec.def_alpha, gain=spec.def_gain if gain is None else gain,
        clamp=clamp, **shape,
    )  # fmt: skip


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

"""The compiled convolutions as differentiable functions of tensors (F1); `ops.conv` decides when they are used.

A convolution, its input gradient and its filter gradient are each bilinear, and each other's gradients: the two
operations registered below close the circle, so gradients of any order exist. `styled_conv` is all that StyleGAN2
puts around a convolution in one pass over memory, for when nobody asks for a gradient; where somebody does, it is
computed again from the pieces.
"""

import contextlib
import contextvars

import numpy as np
import tensorflow as tf

from tf_stylegan.ops import loader
from tf_stylegan.ops.native_conv import MAX_TAPS

_in_pieces = contextvars.ContextVar("in_pieces", default=False)
_NOT_STORED = ("has_in_scale", "has_out_scale", "has_b", "has_noise")


@contextlib.contextmanager
def in_pieces(wanted=True):
    """Graphs traced inside are made for gradients: `styled_conv`, which would be computed twice then, is not used.

    wanted: False for a part of such a graph through which no gradient goes.
    """
    token = _in_pieces.set(wanted)
    try:
        yield
    finally:
        _in_pieces.reset(token)


def usable(x, w, impl="auto"):
    """Whether `conv` is to be used: on a CPU, for tensors of a known size and a type that it is the fastest for."""
    return (x.dtype == tf.float32 or (x.dtype == tf.bfloat16 and not _multiplies_bfloat16())) and _takes(x, w, impl)


def fuses(x, w, fir=None, impl="auto"):
    """Whether `styled_conv` is to be used."""
    few = fir is None or max(fir.shape) <= MAX_TAPS
    return x.dtype in (tf.float32, tf.bfloat16) and few and not _in_pieces.get() and _takes(x, w, impl)


def _multiplies_bfloat16():
    """Whether this processor does; TensorFlow's convolutions in bfloat16 take four times those in float32 if not."""
    flags = loader.cpu_flags()
    return not flags or "avx512_bf16" in flags


def _takes(x, w, impl):
    x, w = tf.TensorShape(x.shape), tf.TensorShape(w.shape)
    return (
        loader.implementation(impl) == "custom"
        and hasattr(loader.ops(), "tf_stylegan_conv2d")
        and not loader.has_gpu()
        and x.rank == w.rank == 4
        and x[1:].is_fully_defined()
        and w.is_fully_defined()
        and max(w[:2]) <= MAX_TAPS
    )


def conv(x, w, pad, out_size, up=1, down=1, turned=False, swapped=False):
    """Convolution without anything around it.

    Args:
        x: `[N, H, W, I]` float32 or bfloat16, all but N known.
        w: `[kh, kw, I, O]` float32; `[kh, kw, O, I]` if `swapped`, turned by 180° if `turned`.
        pad: zeros (top, left) of x, after `up` − 1 zeros are put behind each of its pixels.
        out_size: (H', W') of the result; the padding behind x is what that needs.
        up, down: of which at most one is 2.
    Returns:
        `[N, H', W', O]` of the type of x.
    """
    return loader.ops().tf_stylegan_conv2d(
        x=x, w=tf.cast(w, tf.float32), strength=1.0, in_scale=[], out_scale=[], b=[], noise=[], up=up, down=down,
        pad_y=pad[0], pad_x=pad[1], w_turned=turned, w_swapped=swapped, out_h=out_size[0], out_w=out_size[1],
        out_c=w.shape[2 if swapped else 3],
    )  # fmt: skip


def _filter_gradient(x, dy, taps, pad, up, down, turned, swapped):
    return loader.ops().tf_stylegan_conv2d_filter_gradient(
        x=x, dy=dy, in_scale=[], out_scale=[], kh=taps[0], kw=taps[1], up=up, down=down, pad_y=pad[0], pad_x=pad[1],
        w_turned=turned, w_swapped=swapped,
    )  # fmt: skip


def _settings(op):
    """(up, down, pad, turned, swapped) of one of the operations."""
    get = op.get_attr
    return get("up"), get("down"), (get("pad_y"), get("pad_x")), get("w_turned"), get("w_swapped")


def _input_gradient(dy, w, taps, size, up, down, pad, turned, swapped):
    """The gradient with respect to x of Σ conv(x, w) · dy: a convolution with up and down exchanged."""
    back = [taps[0] - 1 - pad[0], taps[1] - 1 - pad[1]]
    return conv(dy, w, back, size, up=down, down=up, turned=not turned, swapped=not swapped)


@tf.RegisterGradient("TfStylegan>Conv2d")
def _conv_gradient(op, dy):
    if any(op.get_attr(name) for name in _NOT_STORED) or op.get_attr("fir_h"):
        raise LookupError("styled_conv brings its own gradient")
    x, w = op.inputs[0], op.inputs[1]
    up, down, pad, turned, swapped = _settings(op)
    taps = w.shape[:2]
    dx = _input_gradient(dy, w, taps, x.shape[1:3], up, down, pad, turned, swapped)
    dw = _filter_gradient(x, dy, taps, pad, up, down, turned, swapped)
    return dx, dw, None


@tf.RegisterGradient("TfStylegan>Conv2dFilterGradient")
def _filter_gradient_gradient(op, ddw):
    x, dy = op.inputs[0], op.inputs[1]
    up, down, pad, turned, swapped = _settings(op)
    taps = [op.get_attr("kh"), op.get_attr("kw")]
    dx = _input_gradient(dy, ddw, taps, x.shape[1:3], up, down, pad, turned, swapped)
    return dx, conv(x, ddw, pad, dy.shape[1:3], up, down, turned, swapped)


def styled_conv(
    x, w, pad, out_size, pieces, up=1, down=1, turned=False, swapped=False, fir=None, fir_pad=(0, 0), mid_size=(0, 0),
    in_scale=None, out_scale=None, b=None, noise=None, strength=None, alpha=1.0, gain=1.0, clamp=None,
):  # fmt: skip
    """`clamp(lrelu(fir(conv(x · in_scale, w)) · out_scale + b + noise · strength) · gain)` in one pass.

    Args:
        x, w, pad, up, down, turned, swapped: as `conv`.
        out_size: (H', W') of the result.
        pieces: function of (x, w, in_scale, out_scale, b, noise, strength) that computes the same from operations with
            gradients; it is called when a gradient is asked for.
        fir: NumPy kernel `[n, n]` to filter with, after `fir_pad` zeros above and left of the convolution's result, of
            which `mid_size` is the size; None for no filter.
        in_scale, out_scale: `[N, I]`, `[N, O]` or None.
        b: `[O]` or None.
        noise: `[N or 1, H', W', 1]` or None; strength: scalar.
        alpha: slope of the leaky ReLU, 1 for none; gain; clamp: None for none.
    Returns:
        `[N, H', W', O]` of the type of x.
    """
    given = {"in_scale": in_scale, "out_scale": out_scale, "b": b, "noise": noise, "strength": strength}
    # Tensors, since a function with a gradient of its own may not touch variables.
    given = {name: None if value is None else tf.convert_to_tensor(value) for name, value in given.items()}
    names = [name for name, value in given.items() if value is not None]

    @tf.custom_gradient
    def run(x, w, *values):
        arrays = dict(zip(names, values))
        lists = {n: [tf.cast(arrays[n], tf.float32)] if n in arrays else [] for n in given if n != "strength"}
        taps = [] if fir is None else np.asarray(fir, np.float32).ravel().tolist()
        y = loader.ops().tf_stylegan_conv2d(
            x=x, w=tf.cast(w, tf.float32), strength=tf.cast(arrays.get("strength", 1.0), tf.float32), **lists,
            up=up, down=down, pad_y=pad[0], pad_x=pad[1], w_turned=turned, w_swapped=swapped,
            out_h=out_size[0], out_w=out_size[1], out_c=w.shape[2 if swapped else 3],
            fir=taps, fir_h=fir.shape[0] if taps else 0, fir_w=fir.shape[1] if taps else 0, fir_pad_y=fir_pad[0],
            fir_pad_x=fir_pad[1], mid_h=mid_size[0], mid_w=mid_size[1],
            alpha=alpha, gain=gain, clamp=-1.0 if clamp is None else clamp,
        )  # fmt: skip

        def grad(dy):
            inputs = [x, w, *values]
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                again = dict(zip(names, inputs[2:]))
                y = pieces(inputs[0], inputs[1], *(again.get(name) for name in given))
            return tape.gradient(y, inputs, dy, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        return y, grad

    return run(
        tf.convert_to_tensor(x), tf.convert_to_tensor(w), *(value for value in given.values() if value is not None)
    )

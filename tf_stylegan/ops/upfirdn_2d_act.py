"""The filter after an upsampling convolution together with all that follows it, in one pass over memory (F1).

StyleGAN2's upsampling layers filter the result of a transposed convolution, scale it (demodulation), add noise and bias
and apply the activation. Each of these alone reads and writes the largest tensors of the network.
"""

import numpy as np
import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.ops import loader
from tf_stylegan.ops.fused_bias_act import ACTIVATIONS, check_arguments, custom_fused_bias_act, fused_bias_act
from tf_stylegan.ops.native import MAX_TAPS
from tf_stylegan.ops.upfirdn_2d import adjoint_padding, check_filter, custom_upfirdn_2d, upfirdn_2d

SLOPES = {"linear": 1.0, "relu": 0.0, "lrelu": 0.2}  # below zero; other activations are not fused


def upfirdn_2d_act(
    x,
    k,
    pad,
    scale=None,
    noise=None,
    noise_strength=None,
    b=None,
    act="linear",
    alpha=None,
    gain=None,
    clamp=None,
    impl="auto",
):
    """`fused_bias_act(upfirdn_2d(x, k, pad), b, act, …)`, no change of size but that by `pad`.

    Args:
        x: `[N, H, W, C]`.
        k: kernel `[kh, kw]`, as in `upfirdn_2d`.
        pad: ((y0, y1), (x0, x1)) zeros around the image; negative numbers crop.
        scale, noise, noise_strength, b, act, alpha, gain, clamp, impl: as in `fused_bias_act`.
    Returns:
        `[N, H + y0 + y1 − kh + 1, likewise W, C]`.
    Raises:
        UserError: for arguments that do not fit.
    """
    x = tf.convert_to_tensor(x)
    if x.shape.rank != 4:
        raise UserError(f"upfirdn_2d_act: x must be [N, H, W, C], got shape {x.shape}")
    k = np.asarray(k, np.float32)
    (pady0, pady1), (padx0, padx1) = pad
    size = x.shape[1:3]
    check_filter("upfirdn_2d_act", size, k, (1, 1), pad)
    scale, noise, b = (None if value is None else tf.convert_to_tensor(value) for value in (scale, noise, b))
    out = [None if n is None else n + sum(around) - taps + 1 for n, around, taps in zip(size, pad, k.shape)]
    shape = tf.TensorShape([x.shape[0], *out, x.shape[3]])
    check_arguments("upfirdn_2d_act", shape, b, scale, noise, clamp)
    known = ACTIVATIONS.get(act)  # an unknown one is fused_bias_act's to refuse
    gain = (known.def_gain if known else 1) if gain is None else gain
    alpha = SLOPES.get(act) if alpha is None or act != "lrelu" else alpha
    fused = act in SLOPES and gain > 0 and alpha >= 0 and max(k.shape) <= MAX_TAPS
    if loader.implementation(impl) == "custom" and fused:
        return _custom(x, k, pad, scale, noise, noise_strength, b, alpha, gain, clamp)
    y = upfirdn_2d(x, k, padx0=padx0, padx1=padx1, pady0=pady0, pady1=pady1, impl=impl)
    return fused_bias_act(
        y, b, act, alpha=alpha, gain=gain, clamp=clamp, scale=scale, noise=noise, noise_strength=noise_strength,
        impl=impl,
    )  # fmt: skip


def _custom(x, k, pad, scale, noise, strength, b, alpha, gain, clamp):
    """The compiled operation; its gradient is registered below."""
    dtype = tf.float64 if x.dtype == tf.float64 else tf.float32
    optional = {"scale": scale, "b": b, "noise": noise}
    return loader.ops().tf_stylegan_upfirdn2d_act(
        x=x,
        pad=tf.stack([*pad[0], *pad[1]]),
        strength=tf.ones([], dtype) if strength is None else tf.cast(strength, dtype),
        **{name: [] if value is None else [tf.cast(value, dtype)] for name, value in optional.items()},
        k=k.ravel().tolist(),
        kh=k.shape[0],
        kw=k.shape[1],
        alpha=alpha,
        gain=gain,
        clamp=-1.0 if clamp is None else clamp,
    )


@tf.RegisterGradient("TfStylegan>Upfirdn2dAct")
def _gradient(op, dy):
    inputs = list(op.inputs)
    x, pad, strength = inputs.pop(0), inputs.pop(0), inputs.pop(0)
    given = {name: inputs.pop(0) if op.get_attr(f"has_{name}") else None for name in ("scale", "b", "noise")}
    noise, scale = given["noise"], given["scale"]
    # Back through activation, bias and noise.
    alpha = op.get_attr("alpha")
    settings = {name: op.get_attr(name) for name in ("gain", "clamp")}
    change = custom_fused_bias_act(
        dy, act="lrelu", alpha=alpha, mode=1, ref=op.outputs[0], rows=given["b"] is not None,
        channels=noise is not None, **settings,
    )  # fmt: skip
    grads = {"b": change.sum_rows}
    if noise is not None:
        c_noise = change.sum_channels[..., None]
        shared = tf.reshape(c_noise, tf.concat([[-1], tf.shape(noise)], axis=0))
        grads["noise"] = tf.reduce_sum(shared, axis=0) * strength
        grads["strength"] = tf.reshape(tf.reduce_sum(c_noise * noise), tf.shape(strength))
    # Back through the filter. The scale is the same all over a channel, so that it can be applied on this side, where
    # its own gradient is Σ x · (what comes back): the filtered image does not have to be kept.
    taps = [op.get_attr("kh"), op.get_attr("kw")]
    k = np.reshape(np.asarray(op.get_attr("k"), np.float32), taps)[::-1, ::-1]
    back = custom_upfirdn_2d(change.y, k, (1, 1), (1, 1), adjoint_padding(pad, x, dy, taps, (1, 1), (1, 1)))
    back.set_shape(x.shape)
    if scale is not None:
        product = custom_fused_bias_act(
            back, act="linear", alpha=None, gain=1.0, clamp=None, mode=1, post_scale=scale, aux=x
        )
        back, grads["scale"] = product.y, product.sum_aux
    present = [grads[name] for name in ("scale", "b", "noise") if given[name] is not None]
    return [back, None, grads.get("strength"), *present]

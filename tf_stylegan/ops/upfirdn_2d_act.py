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
        x: `[N, H, W, C]`, or a list of four: the pixels of an image with even row and even column
            `[N, ⌈H/2⌉, ⌈W/2⌉, C]`, even row and odd column, odd row and even column, odd row and odd column. These are
            what the four phases of a transposed convolution with stride 2 compute, and need not be put together first.
        k: kernel `[kh, kw]`, as in `upfirdn_2d`.
        pad: ((y0, y1), (x0, x1)) zeros around the image; negative numbers crop.
        scale, noise, noise_strength, b, act, alpha, gain, clamp, impl: as in `fused_bias_act`.
    Returns:
        `[N, H + y0 + y1 − kh + 1, likewise W, C]`.
    Raises:
        UserError: for arguments that do not fit.
    """
    images = [tf.convert_to_tensor(image) for image in (x if isinstance(x, list | tuple) else [x])]
    if len(images) not in (1, 4) or any(image.shape.rank != 4 for image in images):
        shapes = ", ".join(str(image.shape) for image in images)
        raise UserError(f"upfirdn_2d_act: x must be one image [N, H, W, C] or a list of four, got {shapes}")
    k = np.asarray(k, np.float32)
    (pady0, pady1), (padx0, padx1) = pad
    size = [n if isinstance(n, int) else None for n in _whole_size(images)]
    check_filter("upfirdn_2d_act", size, k, (1, 1), pad)
    scale, noise, b = (None if value is None else tf.convert_to_tensor(value) for value in (scale, noise, b))
    out = [None if n is None else n + sum(around) - taps + 1 for n, around, taps in zip(size, pad, k.shape)]
    shape = tf.TensorShape([images[0].shape[0], *out, images[0].shape[3]])
    check_arguments("upfirdn_2d_act", shape, b, scale, noise, clamp)
    known = ACTIVATIONS.get(act)  # an unknown one is fused_bias_act's to refuse
    gain = (known.def_gain if known else 1) if gain is None else gain
    alpha = SLOPES.get(act) if alpha is None or act != "lrelu" else alpha
    fused = act in SLOPES and gain > 0 and alpha >= 0 and max(k.shape) <= MAX_TAPS
    if loader.implementation(impl) == "custom" and fused:
        return _custom(images, k, pad, scale, noise, noise_strength, b, alpha, gain, clamp)
    whole = images[0] if len(images) == 1 else _interleave(images)
    y = upfirdn_2d(whole, k, padx0=padx0, padx1=padx1, pady0=pady0, pady1=pady1, impl=impl)
    return fused_bias_act(
        y, b, act, alpha=alpha, gain=gain, clamp=clamp, scale=scale, noise=noise, noise_strength=noise_strength,
        impl=impl,
    )  # fmt: skip


def _interleave(images):
    """The image of which the four are the even and odd rows and columns."""
    h, w = size = _whole_size(images)

    def zip_axis(even, odd, axis):
        grow = tf.shape(even)[axis] - tf.shape(odd)[axis]  # odd pixels may be one fewer
        paddings = [[0, grow] if i == axis else [0, 0] for i in range(4)]
        pairs = tf.stack([even, tf.pad(odd, paddings)], axis=axis + 1)
        shape = tf.concat([tf.shape(even)[:axis], [-1], tf.shape(even)[axis + 1 :]], axis=0)
        return tf.reshape(pairs, shape)

    rows = [zip_axis(images[i], images[i + 1], 2)[:, :, :w] for i in (0, 2)]
    whole = zip_axis(*rows, 1)[:, :h]
    known = [n if isinstance(n, int) else None for n in size]
    whole.set_shape([images[0].shape[0], *known, images[0].shape[3]])
    return whole


def _whole_size(images):
    """[H, W] of the image that one or four make, each an int where it is known at tracing, else a tensor."""
    used = images if len(images) == 1 else [images[0], images[3]]
    return [sum(tf.shape(x)[i] if x.shape[i] is None else x.shape[i] for x in used) for i in (1, 2)]


def _custom(images, k, pad, scale, noise, strength, b, alpha, gain, clamp):
    """The compiled operation; its gradient is registered below."""
    dtype = tf.float64 if images[0].dtype == tf.float64 else tf.float32
    optional = {"scale": scale, "b": b, "noise": noise}
    return loader.ops().tf_stylegan_upfirdn2d_act(
        images=images,
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
    images = [inputs.pop(0) for _ in range(op.get_attr("num_images"))]
    pad, strength = inputs.pop(0), inputs.pop(0)
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
    back = custom_upfirdn_2d(
        change.y, k, (1, 1), (1, 1), adjoint_padding(pad, _whole_size(images), dy, taps, (1, 1), (1, 1))
    )
    parts = [back] if len(images) == 1 else [back[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    if scale is not None:
        plain = {"act": "linear", "alpha": None, "gain": 1.0, "clamp": None, "mode": 1}
        pairs = [custom_fused_bias_act(part, post_scale=scale, aux=x, **plain) for part, x in zip(parts, images)]
        parts, grads["scale"] = [pair.y for pair in pairs], tf.add_n([pair.sum_aux for pair in pairs])
    for part, image in zip(parts, images):
        part.set_shape(image.shape)
    present = [grads[name] for name in ("scale", "b", "noise") if given[name] is not None]
    return [*parts, None, grads.get("strength"), *present]

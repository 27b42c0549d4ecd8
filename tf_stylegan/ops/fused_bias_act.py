"""Scale, noise, bias, activation, gain and clamp in one call (F1).

After dnnlib/tflib/ops/fused_bias_act.py of the original, which has bias, activation and gain.
"""

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.ops import loader


@dataclasses.dataclass(frozen=True)
class Activation:
    """`func(x, alpha)`, its default `alpha` (None: has none) and the gain that keeps a unit variance.

    `bend`: the second derivative as a function of what the gradient is computed from (see `_S`), None if it is zero.
    """

    func: Callable
    def_alpha: float | None
    def_gain: float
    bend: Callable | None = None


def _swish_bend(x):
    y = tf.nn.sigmoid(x)
    return y * (1 - y) * (2 + x * (1 - 2 * y))


def _below_zero(y):
    return tf.cast(y < 0, y.dtype)


ACTIVATIONS = {
    "linear": Activation(lambda x, alpha: x, None, 1.0),
    "relu": Activation(lambda x, alpha: tf.nn.relu(x), None, math.sqrt(2)),
    "lrelu": Activation(lambda x, alpha: tf.nn.leaky_relu(x, alpha), 0.2, math.sqrt(2)),
    "tanh": Activation(lambda x, alpha: tf.nn.tanh(x), None, 1.0, lambda y: -2 * y),
    "sigmoid": Activation(lambda x, alpha: tf.nn.sigmoid(x), None, 1.0, lambda y: 1 - 2 * y),
    "elu": Activation(lambda x, alpha: tf.nn.elu(x), None, 1.0, _below_zero),
    "selu": Activation(lambda x, alpha: tf.nn.selu(x), None, 1.0, _below_zero),
    "softplus": Activation(lambda x, alpha: tf.nn.softplus(x), None, 1.0, lambda y: tf.exp(-y)),
    "swish": Activation(lambda x, alpha: x * tf.nn.sigmoid(x), None, math.sqrt(2), _swish_bend),
}


def fused_bias_act(
    x, b=None, act="linear", alpha=None, gain=None, clamp=None, scale=None, noise=None, noise_strength=None, impl="auto"
):
    """`act(x · scale + b + noise · noise_strength) · gain`, optionally cut to a range.

    Args:
        x: tensor, channels last, floating point.
        b: `[C]` bias added along the last axis, or None.
        act: one of `ACTIVATIONS`.
        alpha: slope of "lrelu" below zero; None is 0.2.
        gain: factor after the activation; None is the activation's own (√2 for relu, lrelu, swish, else 1).
        clamp: the result is cut to [-clamp, clamp], last of all (StyleGAN2-ADA, appendix D.1); None leaves it.
        scale: `[N, C]` factors of each sample's channels (demodulation), or None.
        noise: `[N or 1, …, 1]`, one number for each pixel, or None.
        noise_strength: scalar factor of the noise; None is 1.
        impl: "auto", "custom" (compiled) or "reference" (TensorFlow's own operations), see `ops.loader`.
    Returns:
        tensor of the shape and dtype of `x`.
    Raises:
        UserError: for an unknown activation, arguments that do not fit, or a missing library with impl="custom".
    """
    if act not in ACTIVATIONS:
        raise UserError(f"unknown activation {act!r}; known: {', '.join(ACTIVATIONS)}")
    spec = ACTIVATIONS[act]
    x = tf.convert_to_tensor(x)
    b, scale, noise = (None if value is None else tf.convert_to_tensor(value) for value in (b, scale, noise))
    check_arguments("fused_bias_act", x.shape, b, scale, noise, clamp)
    alpha = spec.def_alpha if alpha is None else alpha
    gain = spec.def_gain if gain is None else gain
    usable = gain > 0 and (alpha or 0) >= 0  # else a result does not say which slope it came from
    if loader.implementation(impl) == "custom" and usable:
        return custom_fused_bias_act(
            x, act=act, alpha=alpha, gain=gain, clamp=clamp, scale=scale, b=b, noise=noise, strength=noise_strength
        ).y
    x = _before_act(x, scale, b, noise, noise_strength)
    x = spec.func(x, alpha)
    x = x if gain == 1 else x * tf.cast(gain, x.dtype)
    return x if clamp is None else tf.clip_by_value(x, tf.cast(-clamp, x.dtype), tf.cast(clamp, x.dtype))


def check_arguments(name, shape, b=None, scale=None, noise=None, clamp=None):
    """UserError for arguments of `fused_bias_act` that do not fit what they are applied to.

    Args:
        name: of the operation, for the message.
        shape: TensorShape, the channels last.
        b, scale, noise: tensors or None; clamp: number or None.
    """
    if shape.rank is None and (scale is not None or noise is not None):
        raise UserError(f"{name}: beside scale or noise, x must have a known number of dimensions")
    count, channels = (shape[0], shape[-1]) if shape.rank else (None, None)
    if b is not None and (b.shape.rank != 1 or not shape[-1:].is_compatible_with(b.shape)):
        raise UserError(f"{name}: b must be [{channels}], got shape {b.shape}")
    if scale is not None and (shape.rank < 2 or not tf.TensorShape([count, channels]).is_compatible_with(scale.shape)):
        raise UserError(f"{name}: scale must be [{count}, {channels}], got shape {scale.shape}")
    if noise is not None:
        pixels = [*shape[1:-1], 1]
        fits = any(tf.TensorShape([n, *pixels]).is_compatible_with(noise.shape) for n in (1, count))
        if shape.rank < 2 or not fits:
            raise UserError(f"{name}: noise must be {[1, *pixels]} or {[count, *pixels]}, got {noise.shape}")
    if clamp is not None and not clamp >= 0:
        raise UserError(f"{name}: clamp must be a number, 0 or more, or None; got {clamp}")


def _before_act(x, scale, b, noise, strength):
    """What the activation is applied to, by TensorFlow's own operations."""
    if scale is not None:
        x = _scaled(x, scale)
    if noise is not None:
        x += tf.cast(noise if strength is None else noise * strength, x.dtype)
    if b is not None:
        b = tf.cast(b, x.dtype)
        # The gradient of TensorFlow's bias_add adds up in the type of x, and in bfloat16 does not get beyond 512 ones.
        x = x + b if x.shape.rank == 1 or x.dtype == tf.bfloat16 else tf.nn.bias_add(x, b)
    return x


def _scaled(x, scale):
    """`x · scale`, of which scale `[N, C]` is one number for each channel of each sample."""

    def product(x, scale):
        return x * _per_sample(tf.cast(scale, x.dtype), x)

    if x.dtype != tf.float16:
        return product(x, scale)

    # TensorFlow adds up the gradient of scale in the type of x, and in float16 does not get beyond 2048 ones on a CPU.
    @tf.custom_gradient
    def run(x, scale):
        def grad(dy):
            changes = tf.cast(x, tf.float32) * tf.cast(dy, tf.float32)
            total = tf.reduce_sum(changes, axis=list(range(1, x.shape.rank - 1)))
            return _scaled(dy, scale), tf.cast(total, scale.dtype)

        return product(x, scale), grad

    return run(x, scale)


def _per_sample(values, x):
    """`[N, C]` → `[N, 1, …, 1, C]` beside `x`."""
    return values[(slice(None), *[None] * (x.shape.rank - 2))]


# The compiled operation and its gradients -----------------------------------------------------------------------------
#
# One operation computes all of them, see custom_ops/README.md: mode 0 is the function above, mode 1 multiplies by
# S(ref), its derivative written as a function of its result (of its input for swish), mode 2 by S'(ref). Besides, modes
# 1 and 2 add up what the gradients of b, noise and scale need in the same pass.

_OPTIONAL = ("ref", "dy", "aux", "scale", "post_scale", "b", "noise")


def custom_fused_bias_act(x, act, alpha, gain, clamp, mode=0, strength=None, rows=False, channels=False, **optional):
    """Calls the operation. Returns its (y, sum_rows, sum_channels, sum_aux); sums not asked for are empty."""
    dtype = tf.float64 if x.dtype == tf.float64 else tf.float32
    lists = {name: [] if optional.get(name) is None else [optional[name]] for name in _OPTIONAL}
    for name in ("scale", "post_scale", "b", "noise"):
        lists[name] = [tf.cast(value, dtype) for value in lists[name]]
    return loader.ops().tf_stylegan_fused_bias_act(
        x=x,
        strength=tf.ones([], dtype) if strength is None else tf.cast(strength, dtype),
        **lists,
        act=act,
        mode=mode,
        alpha=0.2 if alpha is None else alpha,
        gain=gain,
        clamp=-1.0 if clamp is None else clamp,
        want_sum_rows=rows,
        want_sum_channels=channels,
    )


@tf.RegisterGradient("TfStylegan>FusedBiasAct")
def _gradient(op, cy, c_rows, c_channels, c_aux):
    """Gradients of all inputs; `c…` are those of the outputs."""
    inputs = list(op.inputs)
    x, strength = inputs.pop(0), inputs.pop(0)
    given = {name: inputs.pop(0) if op.get_attr(f"has_{name}") else None for name in _OPTIONAL}
    settings = {name: op.get_attr(name) for name in ("act", "alpha", "gain", "clamp")}
    mode = op.get_attr("mode")
    if isinstance(settings["act"], bytes):
        settings["act"] = settings["act"].decode()
    inner = {name: given[name] for name in ("scale", "b", "noise")}
    if mode == 2:
        grads = _gradient_of_mode_2(x, given["ref"], given["dy"], cy, **settings)
    else:
        if mode == 1:
            ref = given["ref"]
        else:
            ref = _before_act(x, *inner.values(), strength) if settings["act"] == "swish" else op.outputs[0]
        if settings["act"] == "linear" and settings["clamp"] < 0:
            ref = None  # its derivative is the gain, whatever came out
        grads = _gradient_of_product(
            op, x, ref, given, strength, settings, cy, c_rows, c_channels, c_aux, sums=mode == 1
        )
        if mode == 0:
            grads.pop("ref", None)
    # In the order of the operation's inputs.
    return [grads["x"], grads.get("strength"), *(grads.get(name) for name in _OPTIONAL if given[name] is not None)]


def _gradient_of_product(op, x, ref, given, strength, settings, cy, c_rows, c_channels, c_aux, sums):
    """Gradients of modes 0 and 1: both are `in · S(ref)` to a change of `in`."""
    scale, post_scale, aux, noise = (given[name] for name in ("scale", "post_scale", "aux", "noise"))
    # The gradient of `out`: that of y · post_scale and of the sums. Three of its four terms are added on the way.
    c_rows = c_rows if sums and op.get_attr("want_sum_rows") else None
    c_channels = c_channels[..., None] if sums and op.get_attr("want_sum_channels") else None
    c_aux = c_aux if sums and aux is not None else None
    change, factor = cy, post_scale
    if c_aux is not None:
        change = cy if factor is None else cy * _per_sample(tf.cast(factor, cy.dtype), cy)
        change, factor = change + aux * _per_sample(tf.cast(c_aux, cy.dtype), cy), None
    result = custom_fused_bias_act(
        change, mode=1, ref=ref, scale=factor, b=c_rows, noise=c_channels, post_scale=scale,
        aux=None if scale is None else x, rows=given["b"] is not None, channels=noise is not None, **settings,
    )  # fmt: skip
    grads = {"x": result.y, "b": result.sum_rows, "scale": result.sum_aux}
    if noise is not None:
        c_noise = result.sum_channels[..., None]
        # Summed over the samples that share a map: their number is N or 1.
        shared = tf.reshape(c_noise, tf.concat([[-1], tf.shape(noise)], axis=0))
        grads["noise"] = tf.reduce_sum(shared, axis=0) * strength
        grads["strength"] = tf.reshape(tf.reduce_sum(c_noise * noise), tf.shape(strength))
    if sums and (post_scale is not None or aux is not None):
        again = custom_fused_bias_act(
            x, mode=1, ref=ref, scale=scale, b=given["b"], noise=noise, strength=strength, post_scale=c_aux,
            aux=None if post_scale is None else cy, **settings,
        )  # fmt: skip
        grads["aux"], grads["post_scale"] = again.y, again.sum_aux
    if sums and ACTIVATIONS[settings["act"]].bend is not None:
        before = _before_act(x, scale, given["b"], noise, strength)
        change = _before_act(change, factor, c_rows, c_channels, None)
        grads["ref"] = custom_fused_bias_act(before, mode=2, ref=ref, dy=change, **settings).y
    return grads


def _gradient_of_mode_2(x, ref, dy, cy, act, alpha, gain, clamp):
    """Third order, by TensorFlow's own operations: of `x · dy · S'(ref)`."""
    with tf.GradientTape() as tape:
        tape.watch(ref)
        bend = ACTIVATIONS[act].bend(ref if act == "swish" else ref / gain) * (gain if act == "swish" else 1)
    more = tape.gradient(bend, ref)
    if clamp >= 0:
        y = ref if act != "swish" else ACTIVATIONS[act].func(ref, alpha) * gain
        inside = tf.cast(tf.abs(y) < clamp, ref.dtype)
        bend, more = bend * inside, None if more is None else more * inside
    return {"x": cy * dy * bend, "dy": cy * x * bend, "ref": None if more is None else cy * x * dy * more}

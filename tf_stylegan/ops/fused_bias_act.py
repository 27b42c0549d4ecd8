"""Bias, activation and gain in one call (F1), after dnnlib/tflib/ops/fused_bias_act.py of the original."""

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

from tf_stylegan.errors import UserError


@dataclasses.dataclass(frozen=True)
class Activation:
    """`func(x, alpha)`, its default `alpha` (None: has none) and the gain that keeps a unit variance."""

    func: Callable
    def_alpha: float | None
    def_gain: float


ACTIVATIONS = {
    "linear": Activation(lambda x, alpha: x, None, 1.0),
    "relu": Activation(lambda x, alpha: tf.nn.relu(x), None, math.sqrt(2)),
    "lrelu": Activation(lambda x, alpha: tf.nn.leaky_relu(x, alpha), 0.2, math.sqrt(2)),
    "tanh": Activation(lambda x, alpha: tf.nn.tanh(x), None, 1.0),
    "sigmoid": Activation(lambda x, alpha: tf.nn.sigmoid(x), None, 1.0),
    "elu": Activation(lambda x, alpha: tf.nn.elu(x), None, 1.0),
    "selu": Activation(lambda x, alpha: tf.nn.selu(x), None, 1.0),
    "softplus": Activation(lambda x, alpha: tf.nn.softplus(x), None, 1.0),
    "swish": Activation(lambda x, alpha: x * tf.nn.sigmoid(x), None, math.sqrt(2)),
}


def fused_bias_act(x, b=None, act="linear", alpha=None, gain=None, clamp=None):
    """`act(x + b) · gain`, optionally cut to a range.

    Args:
        x: tensor, channels last, floating point.
        b: `[C]` bias added along the last axis, or None.
        act: one of `ACTIVATIONS`.
        alpha: slope of "lrelu" below zero; None is 0.2.
        gain: factor after the activation; None is the activation's own (√2 for relu, lrelu, swish, else 1).
        clamp: the result is cut to [-clamp, clamp], last of all (StyleGAN2-ADA, appendix D.1); None leaves it.
    Returns:
        tensor of the shape and dtype of `x`.
    Raises:
        UserError: for an unknown activation or a bias that does not fit.
    """
    if act not in ACTIVATIONS:
        raise UserError(f"unknown activation {act!r}; known: {', '.join(ACTIVATIONS)}")
    spec = ACTIVATIONS[act]
    x = tf.convert_to_tensor(x)
    if b is not None:
        b = tf.cast(b, x.dtype)
        if b.shape.rank != 1 or not x.shape[-1:].is_compatible_with(b.shape):
            raise UserError(f"fused_bias_act: b must be [{x.shape[-1]}], got shape {b.shape}")
        x = tf.nn.bias_add(x, b) if x.shape.rank != 1 else x + b
    x = spec.func(x, spec.def_alpha if alpha is None else alpha)
    gain = spec.def_gain if gain is None else gain
    x = x if gain == 1 else x * tf.cast(gain, x.dtype)
    return x if clamp is None else tf.clip_by_value(x, tf.cast(-clamp, x.dtype), tf.cast(clamp, x.dtype))

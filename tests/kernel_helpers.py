"""What tests of the kernels share: definitions in NumPy and float64, narrow types, arbitrary calls."""

import contextlib
import ctypes
import os

import numpy as np
import pytest

from tf_stylegan.ops.native import ACTIVATIONS

# Of the largest value: what rounding the result alone costs, and some more.
TOLERANCES = {"float64": 1e-12, "float32": 2e-6, "float16": 1e-3, "bfloat16": 8e-3}


def stored(x, dtype):
    """`x` as the kernels store it; bfloat16 as uint16, rounded to nearest."""
    if dtype != "bfloat16":
        return np.asarray(x, dtype)
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def value(x, dtype):
    """Float64 numbers of stored ones."""
    if dtype != "bfloat16":
        return np.asarray(x, np.float64)
    return (x.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def parameter(x, dtype):
    """`x` in the type of the arithmetic."""
    return np.asarray(x, np.float64 if dtype == "float64" else np.float32)


@contextlib.contextmanager
def subnormals_are_zero():
    """Subnormal float32 numbers are zeros for this thread, as for TensorFlow's; a skip where that cannot be."""
    if os.uname().machine != "x86_64" or not hasattr(ctypes.CDLL("libm.so.6"), "fegetenv"):
        pytest.skip("needs x86_64 and glibc")
    libm, before, after = ctypes.CDLL("libm.so.6"), (ctypes.c_uint32 * 8)(), (ctypes.c_uint32 * 8)()
    libm.fegetenv(before)
    after[:] = [*before[:7], before[7] | 0x8040]  # of MXCSR: results and operands
    libm.fesetenv(after)
    try:
        yield
    finally:
        libm.fesetenv(before)


def upfirdn_2d(x, k, up, down, pad):
    """x `[N, H, W, C]` → y; pairs are (H, W), `pad` ((y0, y1), (x0, x1))."""
    n, h, w, c = x.shape
    big = np.zeros([n, h * up[0], w * up[1], c])
    big[:, :: up[0], :: up[1]] = x
    for axis, (before, after) in zip((1, 2), pad):
        if before < 0 or after < 0:
            big = np.take(big, range(max(-before, 0), big.shape[axis] - max(-after, 0)), axis)
        big = np.pad(big, [(max(before, 0), max(after, 0)) if i == axis else (0, 0) for i in range(4)])
    rows, columns = (big.shape[i + 1] - k.shape[i] + 1 for i in (0, 1))
    y = np.zeros([n, max(rows, 0), max(columns, 0), c])
    for i, j in np.ndindex(k.shape):
        y += k[-1 - i, -1 - j] * big[:, i : i + rows, j : j + columns]
    return y[:, :: down[0], :: down[1]]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


SELU, PRODUCT = 1.0507009873554805, 1.0507009873554805 * 1.6732632423543772
# Name: act(x), its slope and the slope's derivative as functions of act(x) (of x for swish).
FORMULAS = {
    "linear": (lambda x: x, np.ones_like, np.zeros_like),
    "relu": (lambda x: np.maximum(x, 0), lambda a: np.where(a > 0, 1.0, 0), np.zeros_like),
    "lrelu": (lambda x: np.where(x > 0, x, 0.2 * x), lambda a: np.where(a > 0, 1, 0.2), np.zeros_like),
    "tanh": (np.tanh, lambda a: 1 - a * a, lambda a: -2 * a),
    "sigmoid": (sigmoid, lambda a: a * (1 - a), lambda a: 1 - 2 * a),
    "elu": (
        lambda x: np.where(x < 0, np.expm1(x), x),
        lambda a: np.where(a < 0, a + 1, 1),
        lambda a: np.where(a < 0, 1.0, 0),
    ),
    "selu": (
        lambda x: np.where(x < 0, PRODUCT * np.expm1(x), SELU * x),
        lambda a: np.where(a < 0, a + PRODUCT, SELU),
        lambda a: np.where(a < 0, 1.0, 0),
    ),
    "softplus": (lambda x: np.logaddexp(x, 0), lambda a: 1 - np.exp(-a), lambda a: np.exp(-a)),
    "swish": (
        lambda x: x * sigmoid(x),
        lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
        lambda x: sigmoid(x) * (1 - sigmoid(x)) * (2 + x * (1 - 2 * sigmoid(x))),
    ),
}
assert list(FORMULAS) == ACTIVATIONS


def fused_bias_act(x, act, mode=0, gain=1.0, clamp=-1.0, ref=None, dy=None, aux=None, **rest):
    """x `[N, …, C]` → (y, sum over pixels, sum over channels, sum over pixels of out · aux, by sample)."""

    def per_sample(values):
        return np.reshape(values, [x.shape[0], *[1] * (x.ndim - 2), x.shape[-1]])

    function, slope, bend = FORMULAS[act]
    z = x * per_sample(rest["scale"]) if "scale" in rest else x
    z = z + rest.get("b", 0) + rest.get("noise", 0) * rest.get("strength", 1)
    if mode == 0:
        out = function(z) * gain
        out = np.clip(out, -clamp, clamp) if clamp >= 0 else out
    else:
        swish = act == "swish"
        a = ref if swish else ref / gain
        out = z * slope(a) * gain if mode == 1 else z * dy * bend(a) * (gain if swish else 1)
        y = function(ref) * gain if swish else ref
        out = np.where(np.abs(y) < clamp, out, 0) if clamp >= 0 else out
    y = out * per_sample(rest["post_scale"]) if "post_scale" in rest else out
    pixels = tuple(range(1, x.ndim - 1))
    sum_aux = None if aux is None else (out * aux).sum(axis=pixels)
    return y, out.sum(axis=(0, *pixels)), out.sum(axis=-1), sum_aux


def random_case(rnd, channels, taps=6):
    """Keyword arguments of a legal call, and an image of float64 numbers."""
    while True:
        up, down = (tuple(int(v) for v in rnd.randint(1, 4, 2)) for _ in range(2))
        pad = tuple(tuple(int(v) for v in rnd.randint(-3, 8, 2)) for _ in range(2))
        size = rnd.randint(1, 3), rnd.randint(1, 12), rnd.randint(1, 40), int(rnd.choice(channels))
        k = rnd.randn(*rnd.randint(1, taps + 1, 2)).astype(np.float32)
        if rnd.rand() < 0.5:
            k = np.outer(k[:, 0], k[0]).astype(np.float32)
        grown = [size[i + 1] * up[i] for i in (0, 1)]
        if all(grown[i] + sum(pad[i]) >= k.shape[i] and grown[i] + sum(min(v, 0) for v in pad[i]) >= 0 for i in (0, 1)):
            return rnd.randn(*size), {"k": k, "up": up, "down": down, "pad": pad}


def random_call(rnd, act, mode, shape, dtype, everything):
    """(x, arguments) as they are stored; `everything`: scales and noise, too."""
    n, c = shape[0], shape[-1]
    x = stored(rnd.randn(*shape) * 2, dtype)
    rest = {"mode": mode, "gain": 1.5, "clamp": [-1.0, 1.25][rnd.randint(2)], "b": rnd.randn(c)}
    if everything:
        maps = [1, n][rnd.randint(2)]
        rest |= {"scale": rnd.rand(n, c), "post_scale": rnd.rand(n, c), "strength": np.array([0.3])}
        rest["noise"] = rnd.randn(maps, *shape[1:-1], 1)
    rest = {name: parameter(v, dtype) if isinstance(v, np.ndarray) else v for name, v in rest.items()}
    if mode > 0:
        ref = rnd.randn(*shape)
        # Only results that the activation can have.
        ref = ref if act == "swish" else FORMULAS[act][0](ref) * 1.5
        rest["ref"] = stored(ref, dtype)
    if mode == 2:
        rest["dy"] = stored(rnd.randn(*shape), dtype)
    rest["aux"] = stored(rnd.randn(*shape), dtype)
    return x, rest

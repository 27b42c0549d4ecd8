"""What the operations do beyond the original's: scale, noise and clamp in one pass, narrow types, third order."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close
from op_helpers import check_gradients, normal

from tf_stylegan.errors import UserError
from tf_stylegan.ops import loader
from tf_stylegan.ops.conv import modulated_conv2d
from tf_stylegan.ops.fused_bias_act import ACTIVATIONS, fused_bias_act
from tf_stylegan.ops.upfirdn_2d import setup_kernel, upfirdn_2d
from tf_stylegan.ops.upfirdn_2d_act import SLOPES, upfirdn_2d_act

FIR = np.outer([1, 3, 3, 1], [1, 2, 4, 1]).astype(np.float32) / 16  # no two taps along x are the same


def operation_types(function, *arguments):
    """Types of the operations that `function` becomes, those of the functions it calls included."""
    graph = tf.function(function).get_concrete_function(*arguments).graph.as_graph_def()
    return {node.op for nodes in [graph.node, *(f.node_def for f in graph.library.function)] for node in nodes}


def act(x, **arguments):
    return upfirdn_2d_act(x, FIR, ((2, 1), (2, 1)), **arguments)


@pytest.mark.parametrize(
    "function, name",
    [
        (lambda x: upfirdn_2d(x, FIR), "TfStylegan>Upfirdn2d"),
        (lambda x: fused_bias_act(x, act="lrelu"), "TfStylegan>FusedBiasAct"),
        (lambda x: upfirdn_2d_act(x, FIR, ((1, 1), (1, 1)), act="lrelu"), "TfStylegan>Upfirdn2dAct"),
    ],
)
def test_who_computes(function, name, impl):
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)

    x = tf.ones([1, 5, 5, 2])
    for used in (function, gradient):
        assert any(op.startswith("TfStylegan") for op in operation_types(used, x)) == (impl == "custom")
    assert name in operation_types(function, x) or impl == "reference"
    with loader.portable():
        assert not any(op.startswith("TfStylegan") for op in operation_types(function, x))


def away_from_bends(x, *places):
    """Moves numbers that are close to a place where a slope changes: differences mean nothing there."""
    for place in places:
        x = tf.where(tf.abs(x - place) < 0.05, x + 0.1, x)
    return x


@pytest.mark.parametrize(
    "act, clamp", [(act, None) for act in ACTIVATIONS] + [("lrelu", 0.9), ("tanh", 0.6), ("swish", 0.6)]
)
@pytest.mark.parametrize("maps, channels", [(1, 3), (2, 8)])
def test_gradients_of_scale_noise_and_bias(act, clamp, maps, channels):
    """Every argument, first and second order, in both layouts of the compiled loop (vectors divide 8, but not 3)."""
    x = away_from_bends(normal(2, 2, 1, channels), 0.0)
    b = tf.zeros([channels], tf.float64)  # so that x alone says where the bends are
    noise = tf.zeros([maps, 2, 1, 1], tf.float64)
    scale = tf.ones([2, channels], tf.float64)
    if clamp is not None:  # keep away from the places where the clamp begins
        edges = {"lrelu": (0.9 / 2**0.5, -4.5 / 2**0.5), "tanh": (np.arctanh(0.6), -np.arctanh(0.6)), "swish": (0.7,)}
        x = away_from_bends(x, *edges[act])

    def function(x, b, scale, noise, strength):
        return fused_bias_act(x, b, act, clamp=clamp, scale=scale, noise=noise, noise_strength=strength)

    check_gradients(function, [x, b, scale, noise, tf.constant(0.3, tf.float64)])


@pytest.mark.parametrize("act", ["lrelu", "tanh", "sigmoid", "softplus", "swish", "elu", "selu"])
def test_third_order(act):
    def squares(x, order):
        """The sum of squares of the gradient of order 1, 2, … of a sum of cubes, and its gradient."""
        with tf.GradientTape() as tape:
            tape.watch(x)
            if order == 0:
                value = tf.reduce_sum(fused_bias_act(x, act=act, clamp=2.0) ** 3)
            else:
                value = tf.reduce_sum(squares(x, order - 1)[1] ** 2)
        return value, tape.gradient(value, x)

    x = away_from_bends(normal(3, 5), 0.0)
    step = 1e-5 * normal(3, 5)
    difference = (squares(x + step, 2)[0] - squares(x - step, 2)[0]) / 2
    assert_close(tf.reduce_sum(squares(x, 2)[1] * step), difference, 1e-5)


def composed(x, scale, b, noise, strength, act, gain, clamp):
    """The definition in NumPy."""
    z = np.float64(x) * scale[:, None, None] + b + noise * strength
    y = np.where(z > 0, z, z * SLOPES[act]) * gain
    return np.clip(y, -clamp, clamp)


@pytest.mark.parametrize(
    "dtype, tolerance", [("float64", 1e-6), ("float32", 1e-6), ("bfloat16", 2e-2), ("float16", 2e-3)]
)
@pytest.mark.parametrize("size", [(2, 6, 5, 3), (1, 4, 7, 16), (2, 3, 3, 20)])
@pytest.mark.parametrize("act", SLOPES)
def test_values(act, size, dtype, tolerance):
    x, scale, b = tf.cast(normal(*size), dtype), normal(size[0], size[3]).numpy() + 2, normal(size[3]).numpy()
    noise = normal(size[0], *size[1:3], 1).numpy()
    rest = {"act": act, "gain": 1.5, "clamp": 2.0}
    y = fused_bias_act(x, b, scale=scale, noise=noise, noise_strength=0.3, **rest)
    assert y.dtype == dtype
    expected = composed(tf.cast(x, tf.float64), scale, b, noise, 0.3, **rest)
    assert_close(tf.cast(y, tf.float64), expected, tolerance)

    filtered = upfirdn_2d(tf.cast(x, tf.float64), FIR, padx0=2, padx1=1, pady0=2, pady1=1, impl="reference")
    expected = composed(filtered, scale, b, noise, 0.3, **rest)
    y = upfirdn_2d_act(x, FIR, ((2, 1), (2, 1)), scale, noise, 0.3, b, **rest)
    assert y.dtype == dtype
    assert_close(tf.cast(y, tf.float64), expected, 2 * tolerance)


@pytest.mark.parametrize("size", [(2, 5, 4, 3), (1, 4, 5, 2)])
def test_gradients_of_filter_and_all(size):
    x = normal(*size)
    scale, b, strength = normal(size[0], size[3]) + 2, normal(size[3]), tf.constant(0.3, tf.float64)
    noise = normal(1, size[1] - 1, size[2] - 1, 1)

    def function(x, scale, b, noise, strength):
        return upfirdn_2d_act(x, FIR, ((1, 1), (1, 1)), scale, noise, strength, b, "lrelu")

    y = function(x, scale, b, noise, strength)
    assert_close(y, function(*map(tf.identity, (x, scale, b, noise, strength))), 0)
    assert np.abs(y).min() > 1e-4, "too close to the bend at zero for differences"
    check_gradients(function, [x, scale, b, noise, strength])


def test_narrow_types_differentiate(impl):
    """bfloat16 and float16 images with float32 parameters, whose gradients must not be added up in the narrow type."""
    for dtype in (tf.bfloat16, tf.float16):
        x, b = tf.ones([2, 128, 128, 4], dtype) * 0.25, tf.Variable(tf.zeros([4]))
        scale = tf.ones([2, 4])
        with tf.GradientTape() as tape:
            tape.watch([x, scale])
            y = fused_bias_act(x, b, "lrelu", gain=1.0, scale=scale)
        dx, db, dscale = tape.gradient(y, [x, b, scale])
        assert (dx.dtype, db.dtype, dscale.dtype) == (dtype, tf.float32, tf.float32)
        assert_close(db, np.full(4, 2 * 128 * 128), 1e-6)
        assert_close(dscale, np.full((2, 4), 128 * 128 / 4), 1e-6)


def test_styles_of_large_images_in_narrow_types(impl):
    """Their gradients are sums over an image too; without demodulation nothing hides what is lost."""
    w = tf.ones([1, 1, 4, 1]) / 4
    for dtype in (tf.bfloat16, tf.float16):
        x, style = tf.ones([2, 128, 128, 4], dtype), tf.ones([2, 4])
        with tf.GradientTape() as tape:
            tape.watch(style)
            y = modulated_conv2d(x, w, style, demodulate=False)
        assert_close(tape.gradient(y, style), np.full((2, 4), 128 * 128 / 4), 1e-6)


def test_kernels_too_large_for_the_compiled_operation():
    x, k = normal(1, 40, 3, 2), np.ones([33, 1], np.float32)
    assert_close(upfirdn_2d(x, k)[0, 0], tf.reduce_sum(x[0, :33], axis=0), 1e-6)
    assert_close(upfirdn_2d_act(x, k, ((0, 0), (0, 0)))[0, 0], tf.reduce_sum(x[0, :33], axis=0), 1e-6)


def test_gains_that_hide_the_slope():
    """A result times zero, or of a negative slope, does not say where it came from; its gradient is right still."""
    x = tf.constant([[-2.0, 1.0]])
    for arguments, slopes in (
        ({"gain": 0.0}, [0, 0]),
        ({"gain": -2.0}, [-0.4, -2]),
        ({"alpha": -0.5, "gain": 1.0}, [-0.5, 1]),
    ):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = fused_bias_act(x, act="lrelu", **arguments)
        assert_close(tape.gradient(y, x), [slopes], 1e-6)


def test_not_a_number_is_kept():
    x = tf.constant([[np.nan, np.inf, -np.inf, 1.0]])
    for act in ("linear", "relu", "lrelu", "tanh", "sigmoid", "softplus", "elu"):
        y = fused_bias_act(x, act=act, gain=1.0).numpy()
        assert np.isnan(y[0, 0]), act
        assert_close(y[0, 1:], ACTIVATIONS[act].func(x, 0.2)[0, 1:], 1e-6, act)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: fused_bias_act(x, scale=tf.ones([2, 3])), r"scale must be \[1, 2\], got shape \(2, 3\)"),
        (
            lambda x: fused_bias_act(x, noise=tf.ones([1, 4, 5])),
            r"noise must be \[1, 4, 5, 1\] or \[1, 4, 5, 1\], got \(1, 4, 5\)",
        ),
        (lambda x: fused_bias_act(x, clamp=-1.0), "clamp must be a number, 0 or more, or None; got -1.0"),
        (lambda x: fused_bias_act(x, clamp=float("nan")), "clamp must be a number, 0 or more, or None; got nan"),
        (lambda x: act(x, noise=tf.ones([1, 5, 4, 1])), r"upfirdn_2d_act: noise must be \[1, 4, 5, 1\]"),
        (lambda x: act(x, b=tf.ones([3])), r"upfirdn_2d_act: b must be \[2\]"),
        (lambda x: act(x, scale=tf.ones([2, 2])), r"upfirdn_2d_act: scale must be \[1, 2\]"),
        (lambda x: upfirdn_2d_act(x, FIR, ((-2, 0), (0, 0))), "H = 4 .* is smaller than the kernel's 4"),
        (lambda x: upfirdn_2d_act(x, FIR, ((-6, 8), (1, 2))), "H = 4 .* is smaller than the kernel's 4"),
        (lambda x: fused_bias_act(x, impl="fast"), "impl must be one of auto, custom, reference; got 'fast'"),
        (lambda x: upfirdn_2d_act(x[0], FIR, ((0, 0), (0, 0))), r"x must be \[N, H, W, C\], got shape \(4, 5, 2\)"),
        (lambda x: upfirdn_2d_act(x, FIR, ((1, 1), (1, 1)), act="gelu"), "unknown activation 'gelu'"),
    ],
)
def test_mistakes_say_what_was_wrong(call, message):
    with pytest.raises(UserError, match=message):
        call(normal(1, 4, 5, 2))


def test_operations_refuse_what_does_not_fit(impl):
    """What the Python functions let through, since shapes may be unknown to them, the operations find."""
    if impl == "reference":
        pytest.skip("the compiled operations' own checks")
    ops, x = loader.ops(), tf.ones([1, 4, 4, 2])
    rest = {"k": [1.0] * 4, "kh": 2, "kw": 2}
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"k has 4 numbers, not 3 x 2"):
        ops.tf_stylegan_upfirdn2d(x, [0, 0, 0, 0], k=[1.0] * 4, kh=3, kw=2)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"x must be \[N, H, W, C\]"):
        ops.tf_stylegan_upfirdn2d(x[0], [0, 0, 0, 0], **rest)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"pad must be \[4\]"):
        ops.tf_stylegan_upfirdn2d(x, [0, 0], **rest)
    none = {name: [] for name in ("ref", "dy", "aux", "scale", "post_scale", "b", "noise")}
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"b must be \[2\], got \[3\]"):
        ops.tf_stylegan_fused_bias_act(x, 1.0, **(none | {"b": [tf.ones([3])]}), act="relu")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"noise must have one number for each pixel"):
        ops.tf_stylegan_fused_bias_act(x, 1.0, **(none | {"noise": [tf.ones([3])]}), act="relu")
    with pytest.raises(tf.errors.InvalidArgumentError, match="an argument is out of range"):
        ops.tf_stylegan_fused_bias_act(x, 1.0, **none, act="relu", mode=1)
    pair = [tf.ones([2])] * 2
    with pytest.raises(tf.errors.InvalidArgumentError, match="b must be one tensor or none, got 2"):
        ops.tf_stylegan_fused_bias_act(x, 1.0, **(none | {"b": pair}), act="relu")
    with pytest.raises(tf.errors.InvalidArgumentError, match="b must be one tensor or none, got 2"):
        ops.tf_stylegan_upfirdn2d_act(x, [0, 0, 0, 0], 1.0, scale=[], b=pair, noise=[], **rest)
    conv = {"out_h": 4, "out_w": 4, "out_c": 2, "in_scale": [], "out_scale": [], "b": pair, "noise": []}
    with pytest.raises(tf.errors.InvalidArgumentError, match="b must be one tensor or none, got 2"):
        ops.tf_stylegan_conv2d(x, tf.ones([1, 1, 2, 2]), 1.0, **conv)


def test_sizes_that_cannot_be_counted_are_refused(impl):
    """With words: TensorFlow's shapes end the process otherwise."""
    if impl == "reference":
        pytest.skip("the compiled operations' own checks")
    ops, none = loader.ops(), {"in_scale": [], "out_scale": []}
    far = 2**31 - 1
    with pytest.raises(tf.errors.InvalidArgumentError):
        ops.tf_stylegan_conv2d(
            tf.ones([8, 1, 1, 1]), tf.ones([1, 1, 1, 1]), 1.0, **none, b=[], noise=[], out_h=far, out_w=far, out_c=1
        )
    with pytest.raises(tf.errors.InvalidArgumentError):
        ops.tf_stylegan_conv2d_filter_gradient(tf.ones([1, 1, 1, 4]), tf.ones([1, 1, 1, 4]), **none, kh=far, kw=far)
    empty = tf.zeros([2**40, 0, 2**40])
    lists = {name: [] for name in ("ref", "dy", "aux", "scale", "post_scale", "b", "noise")} | {"aux": [empty]}
    with pytest.raises(tf.errors.InvalidArgumentError):
        ops.tf_stylegan_fused_bias_act(empty, 1.0, **lists, act="relu")


@pytest.mark.parametrize("shape", [[], [1]])
def test_a_strength_of_one_number_has_a_gradient_of_its_shape(shape):
    x, noise, strength = normal(2, 5, 6, 3), normal(1, 5, 6, 1), tf.fill(shape, tf.constant(0.3, tf.float64))
    calls = {
        "fused_bias_act": lambda s: fused_bias_act(x, act="lrelu", noise=noise, noise_strength=s),
        "upfirdn_2d_act": lambda s: upfirdn_2d_act(x, FIR, ((2, 1), (2, 1)), None, noise, s, act="lrelu"),
    }
    for name, call in calls.items():
        with tf.GradientTape() as tape:
            tape.watch(strength)
            y = call(strength)
        assert tape.gradient(y, strength).shape == shape, name


def test_a_slope_of_zero_hides_infinity():
    x = tf.constant([-np.inf, -1, 0, 1, np.inf], shape=[1, 5, 1, 1])
    y = upfirdn_2d_act(x, np.ones([1, 1]), ((0, 0), (0, 0)), act="relu", gain=1.0)
    np.testing.assert_array_equal(np.ravel(y), [0, 0, 0, 1, np.inf])


@pytest.mark.parametrize("shape", [(0, 4, 5, 3), (2, 0, 5, 3), (2, 4, 5, 0)])
def test_nothing_comes_of_nothing(shape, impl):
    x = tf.zeros(shape)
    b, scale, noise = tf.ones([shape[3]]), tf.ones([shape[0], shape[3]]), tf.ones([1, *shape[1:3], 1])
    with tf.GradientTape() as tape:
        tape.watch([x, b, scale])
        y = fused_bias_act(x, b, "lrelu", scale=scale, noise=noise)
    dx, db, dscale = tape.gradient(y, [x, b, scale])
    assert y.shape == dx.shape == shape
    assert db.shape == [shape[3]] and not db.numpy().any()
    assert dscale.shape == [shape[0], shape[3]] and not dscale.numpy().any()
    if impl == "custom":  # depthwise convolutions want images
        y = upfirdn_2d(x, setup_kernel([1, 1]), padx0=1, pady0=1, pady1=1)
        assert y.shape == [shape[0], shape[1] + 1, *shape[2:]] and not y.numpy().any()


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_the_gradient_of_a_bias_adds_up_in_float32(dtype):
    x, b = tf.zeros([4, 64, 64, 8], dtype), tf.zeros([8])
    with tf.GradientTape() as tape:
        tape.watch(b)
        y = fused_bias_act(x, b, "linear")
    np.testing.assert_array_equal(tape.gradient(y, b), 4 * 64 * 64)

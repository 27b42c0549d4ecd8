"""The recorded values of the original's operations, first and second order."""

import json

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close, golden, nchw_to_nhwc, nhwc_to_nchw

from tf_stylegan.ops.conv import conv_downsample_2d, modulated_conv2d, upsample_conv_2d
from tf_stylegan.ops.fused_bias_act import fused_bias_act
from tf_stylegan.ops.upfirdn_2d import downsample_2d, filter_2d, upfirdn_2d, upsample_2d

TOLERANCE = 1e-5


def cases(name):
    data = golden(f"ops/{name}")
    return data, list(enumerate(json.loads(str(data["cases"]))))


@pytest.mark.parametrize("n,kwargs", cases("upfirdn_2d")[1])
def test_upfirdn_2d(n, kwargs):
    data, _ = cases("upfirdn_2d")
    x = tf.constant(data[f"x{n}"])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = upfirdn_2d(x, data[f"k{n}"], **kwargs)
    assert_close(y, data[f"y{n}"], TOLERANCE)
    assert_close(tape.gradient(y, x, data[f"dy{n}"]), data[f"dx{n}"], TOLERANCE)


@pytest.mark.parametrize("n,kwargs", cases("fused_bias_act")[1])
def test_fused_bias_act(n, kwargs):
    data, _ = cases("fused_bias_act")
    x, dy, ddx = (tf.constant(nchw_to_nhwc(data[f"{name}{n}"])) for name in ("x", "dy", "ddx"))
    b = tf.constant(data[f"b{n}"])
    with tf.GradientTape() as outer:
        outer.watch([x, dy])
        with tf.GradientTape() as inner:
            inner.watch([x, b])
            y = fused_bias_act(x, b, **kwargs)
        dx, db = inner.gradient(y, [x, b], dy)
    d2x, d2dy = outer.gradient(dx, [x, dy], ddx, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert_close(nhwc_to_nchw(y), data[f"y{n}"], TOLERANCE)
    assert_close(nhwc_to_nchw(dx), data[f"dx{n}"], TOLERANCE)
    assert_close(db, data[f"db{n}"], TOLERANCE)
    assert_close(nhwc_to_nchw(d2x), data[f"d2x{n}"], TOLERANCE)
    assert_close(nhwc_to_nchw(d2dy), data[f"d2dy{n}"], TOLERANCE)


RESAMPLE = {f.__name__: f for f in (upsample_2d, downsample_2d, filter_2d, upsample_conv_2d, conv_downsample_2d)}


@pytest.mark.parametrize("n,case", cases("resample")[1])
def test_resample(n, case):
    data, _ = cases("resample")
    kwargs = {key: value for key, value in case.items() if key != "fn"}
    weights = [data[f"w{n}"]] if f"w{n}" in data else []
    y = RESAMPLE[case["fn"]](nchw_to_nhwc(data[f"x{n}"]), *weights, **kwargs)
    assert_close(nhwc_to_nchw(y), data[f"y{n}"], TOLERANCE)


@pytest.mark.parametrize("n,case", cases("resample_gradients")[1])
def test_resample_gradients(n, case):
    data, _ = cases("resample_gradients")
    inputs = [tf.constant(nchw_to_nhwc(data[f"x{n}"]))]
    expected = [data[f"dx{n}"]]
    if f"w{n}" in data:
        inputs.append(tf.constant(data[f"w{n}"]))
        expected.append(data[f"dw{n}"])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = RESAMPLE[case["fn"]](*inputs, k=case["k"])
    grads = tape.gradient(y, inputs, nchw_to_nhwc(data[f"dy{n}"]))
    grads[0] = nhwc_to_nchw(grads[0])
    for actual, wanted in zip(grads, expected):
        assert_close(actual, wanted, TOLERANCE)


@pytest.mark.parametrize("n,case", cases("modulated_conv2d")[1])
def test_modulated_conv2d(n, case):
    data, _ = cases("modulated_conv2d")
    names = ["weight", "mod_weight", "mod_bias", "x", "dlatent"]
    inputs = {name: tf.constant(data[f"{name}{n}"]) for name in names}
    with tf.GradientTape() as tape:
        tape.watch(list(inputs.values()))
        w = inputs["weight"] / np.sqrt(np.prod(inputs["weight"].shape[:3]))
        style = inputs["dlatent"] @ (inputs["mod_weight"] / np.sqrt(inputs["mod_weight"].shape[0]))
        y = modulated_conv2d(
            tf.transpose(inputs["x"], [0, 2, 3, 1]),
            w,
            style + inputs["mod_bias"] + 1,
            up=case.get("up", False),
            down=case.get("down", False),
            demodulate=case.get("demodulate", True),
            resample_kernel=case.get("resample_kernel"),
        )
        y = tf.transpose(y, [0, 3, 1, 2])
    assert_close(y, data[f"out{n}"], TOLERANCE)
    grads = tape.gradient(y, inputs, data[f"dout{n}"])
    for name, key in zip(names, ["grad_weight", "grad_mod_weight", "grad_mod_bias", "dx", "ddlatent"]):
        assert_close(grads[name], data[f"{key}{n}"], TOLERANCE)

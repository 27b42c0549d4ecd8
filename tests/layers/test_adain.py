"""StyleGAN1's layers: the battery for each of them, then the closed forms of what they compute."""

import math

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close
from layer_battery import check_layer, public_layers

from tf_stylegan.errors import UserError
from tf_stylegan.layers.adain import Noise, ScaledConv2D, StyledConstant, StyledConv2D, StyledDense, scaled_conv2d
from tf_stylegan.networks.progan import DensePictures

BLUR = [1, 2, 1]
STYLED = {"bias": (5,), "Noise/weight": (5,), "StyleMod/weight": (7, 10), "StyleMod/bias": (10,)}
CONV = {"weight": (3, 3, 4, 5), **STYLED}
PLAIN = {"weight": (3, 3, 4, 5), "bias": (5,)}

# class, arguments, shapes of the inputs, shape of the output, weights
BATTERY = [
    (Noise, {}, [(2, 4, 4, 3), (2, 4, 4, 1)], (2, 4, 4, 3), {"weight": (3,)}),
    (StyledConstant, {"fmaps": 5}, [(3, 7), (1, 4, 4, 1)], (3, 4, 4, 5), {"const": (1, 4, 4, 5), **STYLED}),
    (
        StyledConstant,
        {"fmaps": 5, "use_noise": False, "use_instance_norm": False, "use_pixel_norm": True, "act": "relu"},
        [(3, 7)],
        (3, 4, 4, 5),
        {"const": (1, 4, 4, 5), "bias": (5,), "StyleMod/weight": (7, 10), "StyleMod/bias": (10,)},
    ),
    (StyledDense, {"fmaps": 5}, [(3, 7), (3, 4, 4, 1)], (3, 4, 4, 5), {"weight": (7, 80), **STYLED}),
    (
        StyledDense,
        {"fmaps": 5, "use_styles": False, "use_wscale": False, "gain": 1.0},
        [(3, 7), (1, 4, 4, 1)],
        (3, 4, 4, 5),
        {"weight": (7, 80), "bias": (5,), "Noise/weight": (5,)},
    ),
    (StyledConv2D, {"fmaps": 5}, [(2, 4, 4, 4), (2, 7), (2, 4, 4, 1)], (2, 4, 4, 5), CONV),
    (
        StyledConv2D,
        {"fmaps": 5, "up": True, "blur_filter": BLUR, "fused_scale": True},
        [(2, 4, 6, 4), (2, 7), (1, 8, 12, 1)],
        (2, 8, 12, 5),
        CONV,
    ),
    (
        StyledConv2D,
        {"fmaps": 5, "up": True, "fused_scale": False, "lrmul": 0.5},
        [(2, 4, 4, 4), (2, 7), (2, 8, 8, 1)],
        (2, 8, 8, 5),
        CONV,
    ),
    (
        StyledConv2D,
        {"fmaps": 5, "kernel": 1, "use_bias": False, "use_noise": False, "use_styles": False},
        [(2, 4, 4, 4), (2, 7)],
        (2, 4, 4, 5),
        {"weight": (1, 1, 4, 5)},
    ),
    (ScaledConv2D, {"fmaps": 5, "act": "lrelu"}, [(2, 4, 6, 4)], (2, 4, 6, 5), PLAIN),
    (ScaledConv2D, {"fmaps": 5, "up": True, "fused_scale": True}, [(2, 4, 6, 4)], (2, 8, 12, 5), PLAIN),
    (ScaledConv2D, {"fmaps": 5, "down": True, "fused_scale": True}, [(2, 4, 6, 4)], (2, 2, 3, 5), PLAIN),
    (ScaledConv2D, {"fmaps": 5, "down": True, "blur_filter": BLUR}, [(2, 4, 6, 4)], (2, 2, 3, 5), PLAIN),
    (
        ScaledConv2D,
        {"fmaps": 5, "kernel": 1, "use_bias": False},
        [(2, 4, 4, 4)],
        (2, 4, 4, 5),
        {"weight": (1, 1, 4, 5)},
    ),
    (DensePictures, {"fmaps": 5, "act": "lrelu"}, [(3, 7)], (3, 4, 4, 5), {"weight": (7, 80), "bias": (5,)}),
]


@pytest.mark.parametrize("case", BATTERY, ids=lambda case: f"{case[0].__name__}-{'-'.join(map(str, case[1]))}")
def test_battery(case):
    _, tensors, y = check_layer(*case)
    assert len(tensors) == len(case[2])
    assert y.shape == case[3]


def test_no_layer_escapes_the_battery():
    public = public_layers("adain")
    assert len(public) >= 5
    assert public <= {case[0] for case in BATTERY}


def normal(*shape):
    return np.random.RandomState(sum(shape)).randn(*shape).astype(np.float32)


def set_weights(layer, *inputs):
    """Builds the layer, fills its weights with unit normal numbers; returns them by their names within the layer."""
    rnd = np.random.RandomState(1)
    layer(*inputs)
    layer.set_weights([np.float32(rnd.randn(*v.shape)) for v in layer.weights])
    return {v.path.removeprefix(f"{layer.path}/"): v.numpy() for v in layer.weights}


def lrelu(x):
    return np.maximum(x, 0.2 * x)


def epilogue(x, weights, w=None, noise=None, pixel_norm=False, instance_norm=True):
    """The definition: noise, bias, activation without a gain, norms, style `x · (s0 + 1) + s1`."""
    x = x.astype(np.float64) + (0 if noise is None else noise * weights["Noise/weight"])
    x = lrelu(x + weights["bias"])
    if pixel_norm:
        x = x / np.sqrt((x**2).mean(axis=3, keepdims=True) + 1e-8)
    if instance_norm:
        x = (x - x.mean(axis=(1, 2), keepdims=True)) / np.sqrt(x.var(axis=(1, 2), keepdims=True) + 1e-8)
    if w is not None:
        style = w @ weights["StyleMod/weight"] / math.sqrt(w.shape[1]) + weights["StyleMod/bias"]
        channels = style.shape[1] // 2
        x = x * (style[:, None, None, :channels] + 1) + style[:, None, None, channels:]
    return x


def test_noise_is_one_map_times_a_weight_per_channel():
    x, noise = normal(3, 4, 6, 5), normal(1, 4, 6, 1)
    layer = Noise()
    assert_close(layer(x, noise), x, 0)  # zero at the start
    weight = set_weights(layer, x, noise)["weight"]
    assert_close(layer(x, noise), x + noise * weight, 1e-6)


@pytest.mark.parametrize("instance_norm", [True, False])
@pytest.mark.parametrize("pixel_norm", [True, False])
@pytest.mark.parametrize("use_styles", [True, False])
def test_epilogue(use_styles, pixel_norm, instance_norm):
    x, w, noise = normal(2, 4, 4, 3), normal(2, 7), normal(2, 4, 4, 1)
    layer = StyledConv2D(5, kernel=1, use_styles=use_styles, use_pixel_norm=pixel_norm, use_instance_norm=instance_norm)
    weights = set_weights(layer, x, w, noise)
    features = x @ weights["weight"][0, 0] * math.sqrt(2 / 3)  # the gain √2 is on the weight
    norms = {"pixel_norm": pixel_norm, "instance_norm": instance_norm}
    style = w if use_styles else None
    assert_close(layer(x, w, noise), epilogue(features, weights, style, noise, **norms), 1e-5)
    assert_close(layer(x, w), epilogue(features, weights, style, **norms), 1e-5)  # noise_mode "none"


def test_instance_norm_takes_mean_and_variance_away():
    x, w = normal(3, 8, 8, 4), np.zeros([3, 7], np.float32)
    y = StyledConv2D(5, use_noise=False)(x, w).numpy()  # a style of zero at the start: scale 1, shift 0
    np.testing.assert_allclose(y.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(1, 2)), 1, atol=1e-4)


def test_styled_constant():
    w, noise = normal(3, 7), normal(1, 4, 4, 1)
    layer = StyledConstant(5)
    layer(w)
    assert np.all(layer.const.numpy() == 1)
    weights = set_weights(layer, w, noise)
    features = np.repeat(weights["const"], 3, axis=0)
    assert_close(layer(w, noise), epilogue(features, weights, w, noise), 1e-5)
    assert np.abs(np.diff(layer(w), axis=0)).max() > 0.1, "each sample has its style"


@pytest.mark.parametrize("use_wscale", [True, False])
def test_styled_dense(use_wscale):
    """`√2 / 4 / √fan_in` on the weight, columns ordered channel by channel, one bias per channel."""
    w, noise = normal(3, 7), normal(1, 4, 4, 1)
    layer = StyledDense(5, use_wscale=use_wscale)
    layer(w)
    std = math.sqrt(2) / 4 / math.sqrt(7)
    assert np.std(layer.weight) == pytest.approx(1 if use_wscale else std, rel=0.15)
    weights = set_weights(layer, w, noise)
    features = w @ weights["weight"] * (std if use_wscale else 1)
    features = features.reshape(3, 5, 4, 4).transpose(0, 2, 3, 1)
    if not use_wscale:
        weights["StyleMod/weight"] = weights["StyleMod/weight"] * math.sqrt(7)
    assert_close(layer(w, noise), epilogue(features, weights, w, noise), 1e-5)


def direct_conv(x, w):
    """Cross-correlation with zeros around, tap by tap."""
    taps, (_, height, width, _) = w.shape[0], x.shape
    padded = np.pad(x.astype(np.float64), [(0, 0), *[(taps // 2, taps // 2)] * 2, (0, 0)])
    return sum(
        padded[:, i : i + height, j : j + width] @ w[i, j].astype(np.float64) for i in range(taps) for j in range(taps)
    )


def repeated(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def halved(x):
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_scaled_convolution(kernel):
    """Fused down is the same kernel, fused up the turned one: how files at 128 pixels and above were trained."""
    x, w = normal(2, 6, 8, 3), normal(kernel, kernel, 3, 4)
    turned = w[::-1, ::-1]
    assert_close(scaled_conv2d(x, w), direct_conv(x, w), 1e-5)
    assert_close(scaled_conv2d(x, w, up=True, fused_scale=False), direct_conv(repeated(x), w), 1e-5)
    assert_close(scaled_conv2d(x, w, up=True, fused_scale=True), direct_conv(repeated(x), turned), 1e-5)
    for fused in (True, False):
        assert_close(scaled_conv2d(x, w, down=True, fused_scale=fused), halved(direct_conv(x, w)), 1e-5)
    if kernel > 1:
        assert not np.allclose(direct_conv(repeated(x), w), direct_conv(repeated(x), turned), atol=0.1)


def operations(function, size):
    graph = tf.function(function).get_concrete_function(tf.TensorSpec([1, *size, 1])).graph
    return {op.type for op in graph.get_operations()}


@pytest.mark.parametrize(
    "size, way, fused",
    [
        ((32, 64), "up", False),
        ((62, 256), "up", False),
        ((64, 64), "up", True),
        ((64, 256), "up", True),
        ((64, 256), "down", False),
        ((126, 256), "down", False),
        ((128, 256), "down", True),
    ],
)
def test_auto_fuses_where_the_larger_picture_has_128_pixels(size, way, fused):
    w = normal(3, 3, 1, 2)
    for choice, strided in (("auto", fused), (True, True), (False, False)):
        found = operations(lambda x, choice=choice: scaled_conv2d(x, w, **{way: True}, fused_scale=choice), size)
        resampling = any(op.startswith(("Depthwise", "TfStylegan>Upfirdn2d")) for op in found)
        assert resampling != strided, choice


@pytest.mark.parametrize("up", [True, False])
def test_blur_is_after_going_up_and_before_going_down(up):
    """[1, 2, 1] / 4 along both axes, zeros around."""
    x, w = normal(2, 6, 8, 3), normal(2, 7)
    blur = (np.outer(BLUR, BLUR) / 16)[:, :, None, None]

    def blurred(x):
        return np.concatenate([direct_conv(x[..., c : c + 1], blur) for c in range(x.shape[-1])], axis=-1)

    if up:
        layer = StyledConv2D(5, up=True, fused_scale=False, blur_filter=BLUR, use_noise=False)
        weights = set_weights(layer, x, w)
        kernel = weights["weight"] * math.sqrt(2 / 27)
        assert_close(layer(x, w), epilogue(blurred(direct_conv(repeated(x), kernel)), weights, w), 1e-5)
        return
    layer = ScaledConv2D(5, down=True, fused_scale=False, blur_filter=BLUR, act="lrelu")
    weights = set_weights(layer, x)
    kernel = weights["weight"] * math.sqrt(2 / 27)
    assert_close(layer(x), lrelu(halved(direct_conv(blurred(x), kernel)) + weights["bias"]), 1e-5)


def test_blur_only_where_the_size_changes():
    x, w = normal(2, 4, 4, 3), normal(2, 7)
    for cls, inputs in ((StyledConv2D, (x, w)), (ScaledConv2D, (x,))):
        with_blur, without = cls(5, blur_filter=BLUR), cls(5)
        set_weights(with_blur, *inputs)
        set_weights(without, *inputs)
        assert_close(with_blur(*inputs), without(*inputs), 0)


def test_layers_refuse_arguments_that_cannot_be():
    with pytest.raises(UserError, match="c: a layer can go up or down, not both"):
        ScaledConv2D(4, up=True, down=True, name="c")
    for cls in (ScaledConv2D, StyledConv2D):
        for kernel in (0, 2, -3):
            with pytest.raises(UserError, match=f"c: kernel must be odd, got {kernel}"):
                cls(4, kernel, name="c")
        with pytest.raises(UserError, match="c: fused_scale must be True, False or 'auto', got 'never'"):
            cls(4, fused_scale="never", name="c")

"""Layers: the battery for each of them, then the closed forms of what they compute."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close
from layer_battery import check_layer, public_layers

from tf_stylegan.layers.core import Constant, Conv2D, Dense, MinibatchStddev, PixelNorm
from tf_stylegan.layers.modulated import ModulatedConv2D, num_fmaps
from tf_stylegan.networks.mapping import LabelConcat

TAPS = [1, 3, 3, 1]
MODULATED = {"weight": (3, 3, 4, 5), "bias": (5,), "mod_weight": (7, 4), "mod_bias": (4,)}

# class, arguments, shapes of the inputs, shape of the output, weights
BATTERY = [
    (Dense, {"units": 5}, [(3, 4)], (3, 5), {"weight": (4, 5), "bias": (5,)}),
    (Dense, {"units": 5, "use_bias": False, "act": "tanh"}, [(3, 2, 2, 3)], (3, 5), {"weight": (12, 5)}),
    (Dense, {"units": 2, "lrmul": 0.01, "act": "lrelu"}, [(3, 2, 6)], (3, 2), {"weight": (12, 2), "bias": (2,)}),
    (Conv2D, {"fmaps": 5}, [(2, 4, 6, 3)], (2, 4, 6, 5), {"weight": (3, 3, 3, 5), "bias": (5,)}),
    (
        Conv2D,
        {"fmaps": 5, "kernel": 1, "use_wscale": False},
        [(1, 3, 3, 2)],
        (1, 3, 3, 5),
        {"weight": (1, 1, 2, 5), "bias": (5,)},
    ),
    (
        Conv2D,
        {"fmaps": 2, "up": True, "resample_kernel": TAPS, "gain": 2.0},
        [(2, 4, 6, 3)],
        (2, 8, 12, 2),
        {"weight": (3, 3, 3, 2), "bias": (2,)},
    ),
    (
        Conv2D,
        {"fmaps": 2, "down": True, "use_bias": False, "act": "swish", "act_gain": 3.0},
        [(2, 4, 6, 3)],
        (2, 2, 3, 2),
        {"weight": (3, 3, 3, 2)},
    ),
    (Constant, {"fmaps": 6, "size": 8}, [(3, 2)], (3, 8, 8, 6), {"const": (1, 8, 8, 6)}),
    (PixelNorm, {}, [(3, 4)], (3, 4), {}),
    (PixelNorm, {}, [(3, 4, 4, 2)], (3, 4, 4, 2), {}),
    (MinibatchStddev, {"group_size": 2, "num_features": 3}, [(4, 4, 4, 6)], (4, 4, 4, 9), {}),
    (
        ModulatedConv2D,
        {"fmaps": 5},
        [(2, 4, 4, 4), (2, 7), (2, 4, 4, 1)],
        (2, 4, 4, 5),
        {**MODULATED, "noise_strength": ()},
    ),
    (
        ModulatedConv2D,
        {"fmaps": 5, "up": True, "resample_kernel": TAPS, "act": "lrelu"},
        [(2, 4, 4, 4), (2, 7), (1, 8, 8, 1)],
        (2, 8, 8, 5),
        {**MODULATED, "noise_strength": ()},
    ),
    (
        ModulatedConv2D,
        {"fmaps": 5, "kernel": 3, "demodulate": False, "use_noise": False},
        [(2, 4, 4, 4), (2, 7)],
        (2, 4, 4, 5),
        MODULATED,
    ),
    (ModulatedConv2D, {"fmaps": 5, "down": True, "use_noise": False}, [(2, 4, 4, 4), (2, 7)], (2, 2, 2, 5), MODULATED),
    (LabelConcat, {}, [(3, 4), (3, 2)], (3, 8), {"weight": (2, 4)}),
]


@pytest.mark.parametrize("case", BATTERY, ids=lambda case: f"{case[0].__name__}-{'-'.join(map(str, case[1]))}")
def test_battery(case):
    layer, tensors, y = check_layer(*case)
    assert layer.name == "tested"
    assert len(tensors) == len(case[2])
    assert y.shape == case[3]


@pytest.mark.parametrize("module", ["core", "modulated"])
def test_no_layer_escapes_the_battery(module):
    public = public_layers(module)
    assert public
    assert public <= {case[0] for case in BATTERY}


def set_weights(layer, *inputs):
    """Builds the layer and fills its weights with unit normal numbers."""
    rnd = np.random.RandomState(1)
    layer(*inputs)
    layer.set_weights([np.float32(rnd.randn(*v.shape)) for v in layer.weights])
    return layer


def normal(*shape):
    return tf.constant(np.random.RandomState(sum(shape)).randn(*shape).astype(np.float32))


@pytest.mark.parametrize("gain, lrmul", [(1.0, 1.0), (2.0, 1.0), (1.0, 0.01), (0.5, 0.1)])
def test_equalised_learning_rate(gain, lrmul):
    """`y = x · w · (gain / √fan_in · lrmul) + b · lrmul`, with or without wscale: the scale moves into the start."""
    x = normal(3, 8)
    layer = set_weights(Dense(4, gain=gain, lrmul=lrmul), x)
    w, b = layer.get_weights()
    assert_close(layer(x), x.numpy() @ w * (gain / math.sqrt(8) * lrmul) + b * lrmul, 1e-6)
    layer = set_weights(Dense(4, gain=gain, lrmul=lrmul, use_wscale=False), x)
    assert_close(layer(x), (x.numpy() @ w + b) * lrmul, 1e-6)


@pytest.mark.parametrize("lrmul", [1.0, 0.01])
@pytest.mark.parametrize("use_wscale, std", [(True, 1), (False, 2 / math.sqrt(3 * 3 * 16))])
def test_start_of_the_weights(use_wscale, std, lrmul):
    keras.utils.set_random_seed(0)
    layer = Conv2D(64, gain=2.0, use_wscale=use_wscale, lrmul=lrmul)
    layer.build([None, 8, 8, 16])
    assert np.std(layer.weight) == pytest.approx(std / lrmul, rel=0.03)
    assert abs(np.mean(layer.weight)) < 0.05 * std / lrmul
    assert not np.any(layer.bias)
    assert np.std(layer.scaled_weight()) == pytest.approx(2 / math.sqrt(3 * 3 * 16), rel=0.03)


def test_convolution_fan_in_counts_the_kernel():
    x = normal(1, 1, 1, 4)
    layer = set_weights(Conv2D(5), x)
    w, b = layer.get_weights()
    assert_close(layer(x)[0, 0], x[0, 0].numpy() @ w[1, 1] / 6 + b, 1e-6)


def test_dense_flattens_channels_first():
    x = normal(2, 3, 4, 5)
    layer = set_weights(Dense(6, use_bias=False), x)
    flat = x.numpy().transpose(0, 3, 1, 2).reshape(2, 60)
    assert_close(layer(x), flat @ layer.get_weights()[0] / math.sqrt(60), 1e-6)


@pytest.mark.parametrize("shape", [(3, 7), (2, 4, 4, 5)])
def test_pixel_norm(shape):
    x = normal(*shape).numpy()
    assert_close(PixelNorm()(x), x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-8), 1e-6)
    assert not np.any(PixelNorm()(np.zeros(shape)))


def closed_form_stddev(x, group_size, num_features):
    """The definition, group by group."""
    n, h, w, c = x.shape
    groups = n // min(group_size, n)
    extra = np.zeros([n, h, w, num_features])
    for group in range(groups):
        for feature in range(num_features):
            width = c // num_features
            part = x[group::groups, :, :, feature * width : (feature + 1) * width]
            extra[group::groups, :, :, feature] = np.sqrt(part.var(axis=0) + 1e-8).mean()
    return np.concatenate([x, extra], axis=-1)


@pytest.mark.parametrize("num_features", [1, 2, 6])
@pytest.mark.parametrize("batch, group_size", [(1, 4), (3, 4), (4, 4), (8, 4), (6, 3), (6, 2), (5, 1)])
def test_minibatch_stddev(batch, group_size, num_features):
    x = np.random.RandomState(0).randn(batch, 2, 3, 6).astype(np.float32)
    layer = MinibatchStddev(group_size, num_features)
    expected = closed_form_stddev(x.astype(np.float64), group_size, num_features)
    assert_close(layer(x), expected, 1e-6)
    traced = tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec([None, 2, 3, 6])])
    assert_close(traced(x), expected, 1e-6)


@pytest.mark.parametrize("batch", [5, 6, 9])
def test_minibatch_stddev_refuses_a_batch_that_does_not_divide(batch):
    layer, x = MinibatchStddev(4), np.zeros([batch, 4, 4, 2], np.float32)
    with pytest.raises(ValueError, match=f"a multiple of it: got a batch of {batch} with mbstd_group_size=4"):
        layer(x)
    traced = tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec([None, 4, 4, 2])])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be at most the group size or a multiple of it"):
        traced(x)


def test_minibatch_stddev_of_an_empty_batch():
    layer, x = MinibatchStddev(4), np.zeros([0, 4, 4, 2], np.float32)
    traced = tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec([None, 4, 4, 2])])
    assert layer(x).shape == [0, 4, 4, 3]
    assert traced(x).shape == [0, 4, 4, 3]


def test_layers_refuse_arguments_that_cannot_be():
    with pytest.raises(ValueError, match="mbstd_num_features=4 does not divide the 6 channels"):
        MinibatchStddev(4, 4).build([None, 4, 4, 6])
    with pytest.raises(ValueError, match="c: a layer can go up or down, not both"):
        Conv2D(4, up=True, down=True, name="c")
    for kernel in (0, 2, -3):
        with pytest.raises(ValueError, match=f"c: kernel must be odd, got {kernel}"):
            Conv2D(4, kernel, name="c")


def test_mistakes_inside_a_layer_keep_their_one_line():
    """Keras adds a page of arguments to errors inside a call; a command prints the message as one line."""
    with pytest.raises(ValueError, match="minibatch") as caught:
        MinibatchStddev(4)(np.zeros([5, 4, 4, 2], np.float32))
    assert len(str(caught.value).splitlines()) == 1


def test_modulated_convolution():
    """`conv(x · s) / ‖w · s‖ + noise · strength + bias` with s = w · mod_weight + mod_bias + 1, sample by sample."""
    x, w = normal(2, 1, 1, 4), normal(2, 7)
    noise = normal(2, 1, 1, 1)
    layer = set_weights(ModulatedConv2D(5), x, w, noise)
    weight, bias, mod_weight, mod_bias, strength = layer.get_weights()
    style = w.numpy() @ mod_weight / math.sqrt(7) + mod_bias + 1
    for n in range(2):
        kernel = weight / 6 * style[n][:, None]
        kernel /= np.sqrt((kernel**2).sum(axis=(0, 1, 2)) + 1e-8)
        y = x[n, 0, 0].numpy() @ kernel[1, 1] + noise[n, 0, 0].numpy() * strength + bias
        assert_close(layer(x, w, noise)[n, 0, 0], y, 1e-5)
        assert_close(layer(x, w)[n, 0, 0], y - noise[n, 0, 0].numpy() * strength, 1e-5)


def test_a_style_of_zero_is_a_plain_convolution_at_the_start():
    layer = ModulatedConv2D(5, demodulate=False)
    x = normal(2, 4, 4, 3)
    layer(x, tf.zeros([2, 7]))
    plain = Conv2D(5)
    plain(x)
    plain.set_weights([layer.weight, layer.bias])
    assert_close(layer(x, tf.zeros([2, 7])), plain(x), 1e-6)
    assert layer.noise_strength.numpy() == 0


def test_constant_is_the_same_for_every_sample():
    layer = Constant(3)
    y = layer(tf.zeros([5, 9]))
    for n in range(5):
        assert_close(y[n : n + 1], layer.const, 0)
    assert np.std(y[0]) > 0.5


def test_number_of_feature_maps():
    assert [num_fmaps(stage, 8 << 10, 1.0, 1, 512) for stage in range(1, 11)] == [512] * 4 + [256, 128, 64, 32, 16, 8]
    assert num_fmaps(3, 100, 0.5, 1, 512) == 35
    assert num_fmaps(9, 16, 1.0, 4, 512) == 4

"""The compiled convolutions against TensorFlow's: values, gradients of two orders, everything fused into one pass."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close

from tf_stylegan.errors import UserError
from tf_stylegan.ops import compiled_conv, loader
from tf_stylegan.ops.conv import conv2d, conv_downsample_2d, modulated_conv2d, upsample_conv_2d


def normal(*shape):
    return tf.constant(np.random.RandomState(sum(shape)).randn(*shape).astype(np.float32))


@pytest.fixture
def compiled(impl):
    if impl != "custom" or not hasattr(loader.ops(), "tf_stylegan_conv2d"):
        pytest.skip("needs the compiled convolutions")


def both(monkeypatch, function, *args):
    """Values of `function(*args)` by the compiled operations and by TensorFlow's own."""
    ours = function(*args)
    monkeypatch.setenv(loader.VARIABLE, "reference")
    theirs = function(*args)
    monkeypatch.setenv(loader.VARIABLE, "custom")
    return ours, theirs


def orders(function):
    """A function of the same arguments that returns the value, its gradients, and gradients of their squares."""

    def run(*args):
        with tf.GradientTape() as outer:
            outer.watch(args)
            with tf.GradientTape() as inner:
                inner.watch(args)
                y = function(*args)
                total = tf.reduce_sum(tf.sin(y))
            first = inner.gradient(total, args)
            squares = tf.add_n([tf.reduce_sum(tf.square(g)) for g in first if g is not None])
        return [y, *first, *outer.gradient(squares, args)]

    return run


def graph_ops(function, *args):
    graph = tf.function(function).get_concrete_function(*args).graph
    return {op.type for op in graph.get_operations()}


@pytest.mark.parametrize("size, inputs, outputs", [(8, 5, 7), (16, 32, 48), (5, 40, 3)])
@pytest.mark.parametrize("which", [conv2d, upsample_conv_2d, conv_downsample_2d])
def test_values_and_gradients(compiled, monkeypatch, which, size, inputs, outputs):
    if which is conv_downsample_2d and size % 2:
        size += 1
    x, w = normal(2, size, size, inputs), normal(3, 3, inputs, outputs)
    assert any(name.startswith("TfStylegan>Conv2d") for name in graph_ops(which, x, w))
    for ours, theirs in zip(*both(monkeypatch, orders(which), x, w)):
        assert_close(ours, theirs, 2e-5)


@pytest.mark.parametrize(
    "taps, size, inputs, outputs, up",
    [(3, 8, 16, 24, False), (3, 8, 16, 24, True), (1, 7, 20, 3, False), (3, 100, 8, 16, False), (3, 100, 8, 16, True)],
)
def test_all_of_a_layer_in_one_pass(compiled, monkeypatch, taps, size, inputs, outputs, up):
    out = size * 2 if up else size
    settings = {"up": up, "demodulate": taps == 3, "resample_kernel": [1, 3, 3, 1], "act": "lrelu", "clamp": 0.7}

    def layer(x, w, style, noise, strength, b):
        return modulated_conv2d(x, w, style, noise=noise, noise_strength=strength, b=b, **settings)

    args = [normal(2, size, size, inputs), normal(taps, taps, inputs, outputs), normal(2, inputs) + 1]
    args += [normal(1, out, out, 1), tf.constant(0.3), normal(outputs)]
    found = graph_ops(layer, *args)
    assert {name for name in found if name.startswith("TfStylegan>")} == {"TfStylegan>Conv2d"}
    ours, theirs = both(monkeypatch, layer, *args)
    assert_close(ours, theirs, 2e-5)
    if size < 20:
        for mine, other in zip(*both(monkeypatch, orders(layer), *args)):
            assert_close(mine, other, 1e-4)
    with compiled_conv.in_pieces():
        assert ("TfStylegan>Upfirdn2dAct" if up else "TfStylegan>FusedBiasAct") in graph_ops(layer, *args)
        with compiled_conv.in_pieces(False):
            assert graph_ops(layer, *args) == found
        assert_close(layer(*args), theirs, 2e-5)


def test_bfloat16(compiled, monkeypatch):
    x, w, style = tf.cast(normal(2, 16, 16, 32), tf.bfloat16), normal(3, 3, 32, 32), normal(2, 32) + 1
    for up in (False, True):
        ours, theirs = both(monkeypatch, lambda *a: modulated_conv2d(*a, up=up, act="lrelu"), x, w, style)  # noqa: B023
        assert ours.dtype == tf.bfloat16
        assert_close(tf.cast(ours, tf.float32), tf.cast(theirs, tf.float32), 0.02)


@pytest.mark.parametrize("which", [conv2d, upsample_conv_2d, conv_downsample_2d])
def test_bfloat16_where_the_processor_does_not_multiply_it(compiled, monkeypatch, which):
    """TensorFlow's convolutions are very slow there, those of gradients too."""
    x, w = tf.cast(normal(2, 16, 16, 32), tf.bfloat16), tf.cast(normal(3, 3, 32, 24), tf.bfloat16)
    for multiplies in (False, True):
        monkeypatch.setattr(compiled_conv, "_multiplies_bfloat16", lambda multiplies=multiplies: multiplies)
        assert ("TfStylegan>Conv2d" in graph_ops(which, x, w)) != multiplies
        for ours, theirs in zip(*both(monkeypatch, orders(which), x, w)):
            assert ours.dtype == theirs.dtype == tf.bfloat16
            assert_close(tf.cast(ours, tf.float32), tf.cast(theirs, tf.float32), 0.03)


def test_what_compiled_convolutions_do_not_take_is_left_to_tensorflow(compiled):
    x, style = normal(1, 8, 8, 4), normal(1, 4)
    long = modulated_conv2d(x, normal(3, 3, 4, 4), style, up=True, resample_kernel=[1] * 18)
    assert_close(
        long, modulated_conv2d(x, normal(3, 3, 4, 4), style, up=True, resample_kernel=[1] * 18, impl="reference"), 2e-5
    )
    assert_close(conv2d(x, normal(17, 17, 4, 4)), conv2d(x, normal(17, 17, 4, 4), impl="reference"), 2e-5)


@pytest.mark.parametrize("which", [conv2d, upsample_conv_2d, conv_downsample_2d])
def test_an_argument_chooses(compiled, which):
    x, w = normal(2, 8, 8, 4), normal(3, 3, 4, 4)
    for impl in ("custom", "reference"):
        found = graph_ops(lambda x, w, impl=impl: which(x, w, impl=impl), x, w)
        assert any(name.startswith("TfStylegan>") for name in found) == (impl == "custom")


def test_an_argument_chooses_for_whole_layers(compiled):
    args = normal(2, 8, 8, 4), normal(3, 3, 4, 4), normal(2, 4)
    for impl in ("custom", "reference"):
        found = graph_ops(lambda *args, impl=impl: modulated_conv2d(*args, up=True, act="lrelu", impl=impl), *args)
        assert any(name.startswith("TfStylegan>") for name in found) == (impl == "custom")


def test_an_empty_batch(compiled):
    assert modulated_conv2d(tf.zeros([0, 8, 8, 16]), normal(3, 3, 16, 4), tf.zeros([0, 16]), up=True).shape == [
        0, 16, 16, 4,
    ]  # fmt: skip
    assert conv2d(tf.zeros([0, 8, 8, 16]), normal(3, 3, 16, 4)).shape == [0, 8, 8, 4]


def test_what_is_not_known_when_a_graph_is_traced(compiled):
    """A size that is not known is TensorFlow's to handle; a batch of unknown size is not unknown enough."""
    w = normal(3, 3, 4, 4)
    free = tf.function(lambda x: conv2d(x, w), input_signature=[tf.TensorSpec([None, None, None, 4])])
    batch = tf.function(lambda x: conv2d(x, w), input_signature=[tf.TensorSpec([None, 8, 8, 4])])
    assert_close(free(normal(2, 8, 8, 4)), batch(normal(2, 8, 8, 4)), 1e-5)


X, W = normal(2, 6, 6, 5), normal(3, 3, 5, 4)


# Both implementations, hence not `compiled`.
@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: conv2d(X[0], W), r"conv2d: x must be \[N, H, W, I\] and w"),
        (lambda: conv2d(X, W[:, :, :4]), r"conv2d: x must be \[N, H, W, I\] and w"),
        (lambda: conv2d(X, W[:2, :2]), r"conv2d: the kernel must be square and odd"),
        (lambda: upsample_conv_2d(X, W[:, :1]), "upsample_conv_2d: the kernel must be square"),
        (lambda: conv_downsample_2d(X, W[:1]), "conv_downsample_2d: the kernel must be square"),
        (
            lambda: modulated_conv2d(X, W[:2, :2], tf.ones([2, 5])),
            "modulated_conv2d: the kernel must be square and odd",
        ),
        (lambda: modulated_conv2d(X, W, tf.ones([2, 4])), r"modulated_conv2d: style must be \[2, 5\]"),
        (lambda: modulated_conv2d(X, W, tf.ones([2, 5]), noise=tf.ones([1, 9, 4, 1])), r"noise must be \[1, 6, 6, 1\]"),
        (lambda: modulated_conv2d(X, W, tf.ones([2, 5]), b=tf.ones([3])), r"b must be \[4\]"),
        (lambda: modulated_conv2d(X, W, tf.ones([2, 5]), clamp=-1.0), "clamp must be a number, 0 or more"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.parametrize("which", [conv2d, upsample_conv_2d, conv_downsample_2d])
def test_gradients_of_an_empty_batch(which):
    x, w = tf.zeros([0, 8, 8, 3]), normal(3, 3, 3, 4)
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = which(x, w)
    dx, dw = tape.gradient(y, [x, w])
    assert dx.shape == x.shape and dw.shape == w.shape and not np.any(dw)

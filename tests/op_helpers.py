"""What tests of operations share: float64 numbers and gradients checked by differences."""

import numpy as np
import tensorflow as tf
from helpers import assert_close


def normal(*shape):
    """Float64 numbers: gradients by differences need the digits."""
    return tf.constant(np.random.RandomState(sum(shape)).randn(*shape))


def check_gradients(function, inputs, tolerance=1e-5):
    """Compares first and second order gradients of `function(*inputs)` with central differences, in float64."""

    def first(*args):
        *inputs, dy = args
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = function(*inputs)
        return tape.gradient(y, inputs, dy, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def flat(*args):
        return tf.concat([tf.reshape(grad, [-1]) for grad in first(*args)], axis=0)

    y = function(*inputs)
    assert y.dtype == tf.float64
    assert np.abs(y).max() > 0
    for f, args in ((function, inputs), (flat, [*inputs, normal(*y.shape)])):
        theoretical, numerical = tf.test.compute_gradient(tf.function(f, autograph=False), args)
        for i, (actual, expected) in enumerate(zip(theoretical, numerical)):
            assert_close(actual, expected, tolerance, f"order {1 if f is function else 2}, input {i}")

"""Penalties against their closed forms, and on functions whose gradients are known."""

import numpy as np
import tensorflow as tf

from tf_stylegan.training import penalties

GRADIENTS = np.random.RandomState(0).randn(3, 4, 4, 2).astype(np.float32)
NORMS = np.sqrt((GRADIENTS.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))


def test_squared_norm():
    found = penalties.squared_norm(GRADIENTS, gamma=6.0).numpy()
    assert found.shape == (3,)
    np.testing.assert_allclose(found, 6.0 / 2 * NORMS**2, rtol=1e-5)


def test_squared_norm_of_a_quadratic_score():
    x = tf.constant(GRADIENTS)
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores = tf.reduce_sum(x * x * 1.5)  # gradient 3·x, per sample
    found = penalties.squared_norm(tape.gradient(scores, x), gamma=1.0)
    np.testing.assert_allclose(found, 0.5 * 9 * NORMS**2, rtol=1e-5)


def test_wgan_gp():
    np.testing.assert_allclose(penalties.wgan_gp(GRADIENTS), 10 * (NORMS - 1) ** 2, rtol=1e-5)
    found = penalties.wgan_gp(GRADIENTS, weight=3.0, target=2.0).numpy()
    assert found.shape == (3,)
    np.testing.assert_allclose(found, 3 * (NORMS - 2) ** 2 / 4, rtol=1e-5)


def test_wgan_gp_is_zero_at_the_target():
    unit = GRADIENTS / NORMS[:, None, None, None]
    np.testing.assert_allclose(penalties.wgan_gp(unit.astype(np.float32)), 0, atol=1e-5)


def test_path_lengths():
    gradients = np.random.RandomState(1).randn(5, 6, 8)  # [N, L, w]
    found = penalties.path_lengths(tf.constant(gradients, tf.float32)).numpy()
    assert found.shape == (5,)
    np.testing.assert_allclose(found, np.sqrt((gradients**2).sum(axis=2).mean(axis=1)), rtol=1e-5)


def test_path_length_of_equal_layers_does_not_depend_on_their_number():
    one = np.random.RandomState(2).randn(2, 1, 8).astype(np.float32)
    many = np.repeat(one, 14, axis=1)
    np.testing.assert_allclose(penalties.path_lengths(one), penalties.path_lengths(many), rtol=1e-6)

"""Penalties on gradients, per sample (F4); the gradients themselves are taken by `training.step`."""

import tensorflow as tf


def squared_norm(gradients, gamma):
    """R1 (gradients at reals) or R2 (at fakes) of Mescheder et al. 2018: `γ/2 · ‖∇‖²`.

    Args:
        gradients: of the summed scores with respect to the images, `[N, H, W, C]`.
        gamma: weight.
    Returns:
        `[N]`.
    """
    return tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3]) * (gamma * 0.5)


def wgan_gp(gradients, weight=10.0, target=1.0):
    """WGAN-GP (Gulrajani et al. 2017): `λ · (‖∇‖ − target)² / target²`; gradients `[N, H, W, C]` → `[N]`."""
    norms = tf.sqrt(tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3]))
    return tf.square(norms - target) * (weight / target**2)


def path_lengths(gradients):
    """Path lengths (StyleGAN2, section 3.2).

    Args:
        gradients: of the sum of images times noise of standard deviation `1/√(H·W)`, with respect to w, `[N, L, w]`.
    Returns:
        `[N]`, the norm over w, root mean square over the layers.
    """
    return tf.sqrt(tf.reduce_mean(tf.reduce_sum(tf.square(gradients), axis=2), axis=1))

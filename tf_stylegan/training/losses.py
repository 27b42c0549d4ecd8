"""Losses of scores, per sample (F4); after training/loss.py of NVlabs/stylegan2 and the papers it cites.

Scores are `[N, 1]`, before any sigmoid; every function returns `[N, 1]`, to be averaged by the caller.
"""

import tensorflow as tf


def g_logistic(fake_scores):
    """Saturating logistic loss (Goodfellow et al. 2014, equation 1)."""
    return -tf.nn.softplus(fake_scores)


def g_logistic_ns(fake_scores):
    """Non-saturating logistic loss (Goodfellow et al. 2014, section 3)."""
    return tf.nn.softplus(-fake_scores)


def d_logistic(real_scores, fake_scores):
    """Logistic loss of the discriminator."""
    return tf.nn.softplus(fake_scores) + tf.nn.softplus(-real_scores)


def g_wgan(fake_scores):
    """Wasserstein loss (Arjovsky et al. 2017)."""
    return -fake_scores


def d_wgan(real_scores, fake_scores, epsilon=0.001):
    """Wasserstein loss of the critic, with `epsilon · real²` against drift (ProGAN, appendix A.1)."""
    return fake_scores - real_scores + tf.square(real_scores) * epsilon


G_LOSSES = {"logistic": g_logistic, "logistic_ns": g_logistic_ns, "wgan": g_wgan}
D_LOSSES = {"logistic": d_logistic, "wgan": d_wgan}

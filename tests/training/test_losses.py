"""Losses against their closed forms in float64."""

import numpy as np
import pytest

from tf_stylegan.training.losses import D_LOSSES, G_LOSSES, d_wgan

REAL = np.array([[-3.0], [-0.5], [0.0], [0.25], [7.0]])
FAKE = np.array([[4.0], [0.5], [0.0], [-1.0], [-6.0]])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


EXPECTED_G = {
    "logistic": np.log(1 - sigmoid(FAKE)),  # what G minimises in the original game
    "logistic_ns": -np.log(sigmoid(FAKE)),
    "wgan": -FAKE,
}
EXPECTED_D = {
    "logistic": -np.log(sigmoid(REAL)) - np.log(1 - sigmoid(FAKE)),
    "wgan": FAKE - REAL + 0.001 * REAL**2,
}


def test_every_loss_is_tested():
    assert G_LOSSES.keys() == EXPECTED_G.keys() and D_LOSSES.keys() == EXPECTED_D.keys()


@pytest.mark.parametrize("name", EXPECTED_G)
def test_generator(name):
    loss = np.asarray(G_LOSSES[name](FAKE.astype(np.float32)))
    assert loss.shape == FAKE.shape  # per sample
    np.testing.assert_allclose(loss, EXPECTED_G[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", EXPECTED_D)
def test_discriminator(name):
    loss = D_LOSSES[name](REAL.astype(np.float32), FAKE.astype(np.float32)).numpy()
    assert loss.shape == REAL.shape
    np.testing.assert_allclose(loss, EXPECTED_D[name], rtol=1e-5, atol=1e-6)


def test_wgan_epsilon_weighs_the_drift_of_real_scores():
    loss = d_wgan(REAL.astype(np.float32), FAKE.astype(np.float32), epsilon=0.5).numpy()
    np.testing.assert_allclose(loss, FAKE - REAL + 0.5 * REAL**2, rtol=1e-5)


@pytest.mark.parametrize("name", ["logistic", "logistic_ns"])
def test_extreme_scores_stay_finite(name):
    scores = np.array([[-1e4], [1e4]], np.float32)
    assert np.isfinite(G_LOSSES[name](scores)).all()
    assert np.isfinite(D_LOSSES["logistic"](scores, scores)).all()
